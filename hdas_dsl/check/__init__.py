"""Checks of a syntax tree that need no values: names, calls, order of lines, settings."""
