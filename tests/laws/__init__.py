"""The eight laws, one file each, numbered as in docs/laws.md."""
