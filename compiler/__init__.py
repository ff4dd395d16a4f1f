"""The compiler of the `.hsp` language: from a search space to a supernet, a search, and an architecture as text.

    from compiler import load, search, derive, train, diff, contains, describe

They are imported when asked for, so that the commands that only read text start fast.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .api import HspError, UsageError, contains, derive, describe, diff, load, search, train

__all__ = ["HspError", "UsageError", "contains", "derive", "describe", "diff", "load", "search", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'compiler' has no attribute '{name}'")
    from . import api

    return getattr(api, name)
