"""The syntax tree, its canonical text, and the words that the language reserves."""
