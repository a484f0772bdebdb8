"""How the starter model is made: drawn scenes, captions, an autoencoder, a text encoder and a denoiser."""
