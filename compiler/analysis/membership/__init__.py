"""Whether an architecture lies in a space, and where it leaves it."""
