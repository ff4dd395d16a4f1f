"""Checks of a syntax tree without elaboration: names, calls, order of lines, settings."""
