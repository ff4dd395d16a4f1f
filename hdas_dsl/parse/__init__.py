"""Text to syntax tree: lexer, grammar, recovery from errors, and their explanation."""
