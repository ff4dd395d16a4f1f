"""A share of work that several processes divide among themselves: every Nth piece."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from .errors import UsageError

T = TypeVar("T")
SLURM = "slurm"
"""The share that the environment of a task of a Slurm array states."""


@dataclass(frozen=True)
class Share:
    """Of ``count`` shares the one with the number ``index``, from 0."""

    index: int
    count: int

    def of(self, pieces: Sequence[T]) -> Sequence[T]:
        """Its pieces; each piece is in one share."""
        return pieces[self.index :: self.count]

    def __str__(self) -> str:
        return f"{self.index}-of-{self.count}"


def read_share(text: str) -> Share:
    """The share of a text such as ``0/4``, or of a task of a Slurm array.

    Raises:
        UsageError: it is none, or this is not a task of an array.
    """
    if text == SLURM:
        return _of_slurm()
    index, slash, count = text.partition("/")
    if not slash or not index.isdigit() or not count.isdigit() or not int(index) < int(count):
        raise UsageError(f"'{text}' is not a share: write 0/4, 1/4, 2/4 or 3/4 for the four quarters, or {SLURM}")
    return Share(int(index), int(count))


def _of_slurm() -> Share:
    """The place of this task in its array, whose numbers may begin anywhere and leave some out."""
    names = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP", "SLURM_ARRAY_TASK_COUNT"
    defaults = "", "0", "1", ""
    said = [os.environ.get(name, default) for name, default in zip(names, defaults, strict=True)]
    if not all(value.isdigit() for value in said):
        raise UsageError(f"'{SLURM}' is the share of a task of a Slurm array, and {names[0]} or {names[3]} is not set")
    number, least, step, count = map(int, said)
    index, rest = divmod(number - least, max(step, 1))
    if rest or not 0 <= index < count:
        raise UsageError(
            f"task {number} is none of {count} from {least} by {step}: write --array as one range, A-B:STEP"
        )
    return Share(index, count)
