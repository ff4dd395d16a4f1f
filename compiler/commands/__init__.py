"""The commands: one file each; what it reads, prints and returns."""
