"""Chat: commands, offers and the talk with a language model; a client of the verbs, like the doors."""
