"""The compiler of the `.hsp` language: from a search space to a supernet, a search, and an architecture as text.

    from compiler import load, search, derive, train, diff, contains, describe
"""

from .api import HspError, UsageError, contains, derive, describe, diff, load, search, train

__all__ = ["HspError", "UsageError", "contains", "derive", "describe", "diff", "load", "search", "train"]
