"""The base class of all commands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar


class Command(ABC):
    """An action with its options: a frozen dataclass whose fields declare them (`option.py`).

    Its docstring is the description that help shows.
    """

    name: ClassVar[str]
    """``hdas NAME FILE``."""

    action: ClassVar[str | None] = None
    """``hdas-compile FILE ACTION``, such as ``--count``; empty: what happens without one; None: no action there."""

    summary: ClassVar[str]
    """A phrase for a list of commands."""

    answer: ClassVar[str] = ""
    """What `--json` prints, by the name of its model in `answers.py`, or of its section in docs/json.md."""

    no_json: ClassVar[str] = ""
    """Why there is no `--json`."""

    idle: ClassVar[Mapping[str, str]] = {}
    """Why options of other commands do nothing here, where more is to be said than to which they belong."""

    wrong_file: ClassVar[int] = 1
    """The exit code for a wrong file."""

    collects_garbage: ClassVar[bool] = False
    """Whether Python's cyclic collector runs: not where nearly everything that is made is kept to the end."""

    @abstractmethod
    def run(self) -> int:
        """Do it, print to standard output, and give the exit code.

        Raises:
            HdasError: it cannot be done; `console.py` prints why.
        """
