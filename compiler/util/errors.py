"""What a compiled file or a run may end with, below the root of all exceptions (`hdas_dsl/text/errors.py`)."""

from __future__ import annotations

from hdas_dsl.text.errors import HdasError, UsageError

__all__ = ["HdasError", "LoweringError", "RunError", "UsageError"]


class LoweringError(HdasError, ValueError):
    """The graph has no meaning in torch: an open width, or a plugin that is not allowed."""

    exit_code = 1


class RunError(HdasError):
    """A run cannot start, or ends early."""

    exit_code = 3
