"""The root of all exceptions that leave the package. Each message is one sentence for the user.

Exceptions that only steer the control flow of one package are not part of this family, and never leave that package.
"""

from __future__ import annotations

from typing import ClassVar


class HdasError(Exception):
    """Something that a user of the package can mend, or at least has to know."""

    exit_code: ClassVar[int] = 3
    """With which code a command ends: 1 the file is wrong, 2 the command line is wrong, 3 a run failed."""

    retry_with: str = ""
    """An option with which the same command succeeds, such as ``--download``; empty: there is none."""


class UsageError(HdasError):
    """The command line, or an argument of a function of the Python interface, is wrong."""

    exit_code = 2
