"""Narrowing: which items a search gives up while it goes on, so that the others learn, and are judged, without them.

To add a way, write its class, add it to its union, and say what it does in `relaxations/narrowing.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from .words import Amount, Count, Named, Word


def _listed(value: object) -> object:
    """One number stands for a list of it: the language has no list of one."""
    return (value,) if isinstance(value, int) and not isinstance(value, bool) else value


Counts = Annotated[
    tuple[Count, ...],
    BeforeValidator(_listed),
    Field(min_length=1, description="a whole number above 0, or a list of them"),
]


class NoNarrowing(Word):
    """Every item stays until the end."""

    word = "none"


class Together(Word):
    """After ``at[i]`` epochs every menu keeps its ``keep[i]`` strongest items (P-DARTS, DrNAS)."""

    word = "together"
    keep: Counts
    at: Counts

    @model_validator(mode="after")
    def _smaller_and_later(self) -> Together:
        falls = all(a > b for a, b in zip(self.keep, self.keep[1:], strict=False))
        if len(self.keep) != len(self.at) or list(self.at) != sorted(set(self.at)) or not falls:
            raise ValueError("together takes a later epoch for each smaller number of items")
        return self


class ByStrength(Word):
    """A menu is decided for its strongest item; the menu whose strongest item is strongest comes first."""

    word = "strength"


class ByCertainty(Word):
    """A menu is decided for its strongest item; first comes the one that matters, and is sure, most (SGAS).

    With ``history``, also the one that was most like it is now after each of so many epochs before.
    """

    word = "certainty"
    history: Amount = 0


class Measure(Named):
    """The measure of damage."""

    ACCURACY = "accuracy"
    LOSS = "loss"


class ByDamage(Word):
    """A menu is decided for the item without which the supernet does worst (DARTS-PT)."""

    word = "damage"
    positional = ("measure",)
    measure: Measure = Measure.ACCURACY


class MenuOrder(Named):
    """Which menu of a cell is decided next: the one with the best score, or one drawn at random."""

    SCORE = "score"
    RANDOM = "random"


class OneByOne(Word):
    """After ``begin`` epochs, and after every ``every`` more, one menu of each cell is decided (SGAS, DARTS-PT).

    A pick of menus is decided with them: once so many of its menus are decided as it takes, the others are given up.
    Judged by damage, the picks are decided after all menus, for the candidates without which the supernet does worst.
    """

    word = "one_by_one"
    by: ByStrength | ByCertainty | ByDamage = ByStrength()
    next: MenuOrder = MenuOrder.SCORE
    begin: Amount = 0
    every: Count = 1

    def decides(self, done: int) -> bool:
        """Whether a menu of each cell is decided after so many epochs."""
        return done >= max(self.begin, 1) and (done - self.begin) % self.every == 0


Narrowing = NoNarrowing | Together | OneByOne
