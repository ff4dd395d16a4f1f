"""Rungs: with which budgets architectures are judged, and which of them go on.

To add one, write its class, add it to `Rungs`, and build it in `searcher/explore/proposers.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from .words import Count, Word

Rung = tuple[int, int]
"""A budget, and how many architectures are judged with it."""


class NoRungs(Word):
    """Every architecture is judged with the same budget."""

    word = "none"


class Rising(Word):
    """Budgets from ``start``, in epochs or images, each ``by`` times the one before, up to ``to`` at most."""

    start: Count
    to: Count
    by: Annotated[int, Field(ge=2, description="a whole number, at least 2")] = 3

    @model_validator(mode="after")
    def _rises(self) -> Rising:
        if self.to < self.start:
            raise ValueError(f"rungs from {self.start} to {self.to} go down")
        return self

    @property
    def budgets(self) -> tuple[int, ...]:
        """Those of the rungs, from below."""
        found = [self.start]
        while found[-1] * self.by <= self.to:
            found.append(found[-1] * self.by)
        return tuple(found)

    def halved(self, count: int, lowest: int = 0) -> tuple[Rung, ...]:
        """The rungs from one on, of which each judges 1 in ``by`` of the one before, as long as it judges any."""
        counts = [count // self.by**at for at in range(len(self.budgets) - lowest)]
        return tuple((budget, left) for budget, left in zip(self.budgets[lowest:], counts, strict=True) if left)


class Halving(Rising):
    """The first rung judges on ``start`` epochs or images; the best 1 in ``by`` of it goes on, to ``by`` times as many.

    The last rung is the last that takes at most ``to`` (successive halving; Jamieson, Talwalkar, AISTATS 2016).
    """

    word = "halving"

    def brackets(self, count: int) -> tuple[tuple[Rung, ...], ...]:
        """All rungs of ``count`` architectures, as the only bracket."""
        return (self.halved(count),)


class Brackets(Rising):
    """Halving several times, each time from a higher rung, with fewer architectures (Hyperband; Li et al., JMLR 2018).

    With s + 1 rungs left of n, a bracket begins with the part n / ((s + 1) by ** (n - 1 - s)) of the architectures.
    """

    word = "brackets"

    def brackets(self, count: int) -> tuple[tuple[Rung, ...], ...]:
        """The rungs of each bracket, where the first begins with ``count`` architectures on the lowest rung."""
        rungs = len(self.budgets)
        first = [-(-count * rungs // ((rungs - lowest) * self.by**lowest)) for lowest in range(rungs)]
        return tuple(self.halved(many, lowest) for lowest, many in enumerate(first))


class Asynchronous(Rising):
    """An architecture goes on to the next rung as soon as it is among the best 1 in ``by`` that its rung has judged.

    Nothing waits for a rung to be full: where none may go on, another is drawn (ASHA; Li et al., MLSys 2020).
    """

    word = "asynchronous"


Rungs = NoRungs | Halving | Brackets | Asynchronous
