"""A picture as plain data: spots and arrows between them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Role(Enum):
    """The role of a spot in its text."""

    INPUT = "input"
    VALUE = "value"
    INSTANCE = "instance"
    OUTPUT = "output"
    AUX = "aux"


class Mark(Enum):
    """Whether a part of a picture of two architectures is the same in both, in one of them, or another."""

    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True)
class Spot:
    """A named tensor of a text. ``key`` is unique in the text; ``of`` is the definition that an instance is of.

    ``slots`` are the decisions that it shows, by their paths within the copy.
    """

    key: str
    label: str
    role: Role
    of: str | None = None
    facts: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    folded: bool = False
    slots: tuple[str, ...] = ()
    mark: Mark = Mark.SAME


@dataclass(frozen=True)
class Arrow:
    """From a spot to one made of it, by the steps of ``label``; ``choice`` where a decision is among them.

    ``slots`` are these decisions, by their paths within the copy.
    """

    source: str
    target: str
    label: tuple[str, ...] = ()
    choice: bool = False
    slots: tuple[str, ...] = ()
    mark: Mark = Mark.SAME


@dataclass(frozen=True)
class Picture:
    """The text of a definition, and the ``copies`` of it that look like this."""

    level: str
    definition: str
    copies: tuple[str, ...]
    instances: int
    spots: tuple[Spot, ...]
    arrows: tuple[Arrow, ...]
    choices: tuple[str, ...] = ()
    mark: Mark = Mark.SAME

    @property
    def title(self) -> str:
        """The copies, the first and the last of many."""
        copies = self.copies if len(self.copies) <= 4 else (self.copies[0], "…", self.copies[-1])
        return ", ".join(copies)
