"""Who serves, in what order. Pure: time and state are arguments."""
