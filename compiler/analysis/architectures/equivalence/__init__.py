"""Architectures up to an equivalence: terms, canonical forms, classes."""
