"""The gRPC door: the image service of programs before Limner, over the same verbs."""
