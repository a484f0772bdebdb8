"""The door for language models: tools and resources of the Model Context Protocol over the same verbs."""
