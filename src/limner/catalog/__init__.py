"""What each model can do, at what tier, at what price, at which provider."""
