"""Differences of two programs, by definition, line and choice path."""
