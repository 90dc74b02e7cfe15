"""The commands: one file each, joined in `cli`."""
