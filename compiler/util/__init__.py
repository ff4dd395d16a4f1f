"""Services without knowledge of the language: errors, files, the garbage collector."""
