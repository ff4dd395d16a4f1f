"""A case of the soak: what kind it is of, its number, and the random numbers that it is made with."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias


class Kind(StrEnum):
    """What a case tries."""

    TEXT = "text"
    GENOTYPE = "genotype"
    RUN_FILE = "run-file"
    KILL = "kill"


@dataclass(frozen=True)
class Case:
    """One try; equal seeds, kinds and numbers make the same one."""

    seed: int
    kind: Kind
    number: int

    def random(self) -> random.Random:
        """The source of all random numbers of this case, from its start."""
        return random.Random(f"{self.seed} {self.kind} {self.number}")


Check: TypeAlias = Callable[[Case], str | None]
"""What is wrong with a case in a sentence, or None; an exception is wrong too."""
