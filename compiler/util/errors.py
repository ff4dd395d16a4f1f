"""Errors of compiled files and of runs, below the root of all exceptions (`hdas_dsl/text/errors.py`)."""

from __future__ import annotations

from hdas_dsl.text.errors import HdasError, UsageError

__all__ = ["HdasError", "LoweringError", "MissingFileError", "RunError", "UsageError"]


class LoweringError(HdasError, ValueError):
    """The graph cannot be lowered to torch: a width is open, or a plugin is not allowed."""

    exit_code = 1


class MissingFileError(UsageError, FileNotFoundError):
    """A path that a function of Python was given names no file; a FileNotFoundError for those who catch that."""


class RunError(HdasError):
    """A run cannot start, or ends early."""

    exit_code = 3
