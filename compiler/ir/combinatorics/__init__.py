"""Counting formulas and the circuits that they become; neither language nor graph."""
