"""One file per vendor. See `base` for what each must say."""
