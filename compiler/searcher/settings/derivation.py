"""Rules of derivation: which architecture the alphas of a search select."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field

from .words import Fraction, Named, Word

Several = Annotated[int, Field(ge=2, description="a whole number above 1")]


class By(Named):
    """The strength of an item: its raw alpha, or its probability, which the probability of `none` lowers (DARTS)."""

    PROBABILITY = "probability"
    LOGIT = "logit"


class Epoch(Named):
    """The epoch whose architecture is derived: the last, the one with the best supernet score, or one before the end.

    The setting `until` defines the epoch before the end of a search; without an early end it is the last.
    """

    LAST = "last"
    BEST = "best"
    BEFORE = "before"


class Strongest(Word):
    """The strongest item of each choice, the strongest inputs of each pick."""

    word = "strongest"
    by: By = By.PROBABILITY
    epoch: Epoch = Epoch.LAST

    @property
    def rule(self) -> Strongest:
        """The rule by which the leading architecture is shown while a search goes on."""
        return self

    @property
    def threshold(self) -> float | None:
        """The least weight of an item that a pick of no fixed number takes; None without a threshold."""
        return None

    def measured(self, by: By) -> Self:
        """The rule by another measure of strength."""
        return self.replace("by", by)


class BestPath(Strongest):
    """The most probable way to reach the output of a text with `prune`, such as a path through a trellis."""

    word = "best_path"


class Threshold(Word):
    """The strongest item of each choice; of picks that may take fewer, the inputs whose weight is at least ``over``.

    Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search" (ECCV 2020).
    """

    word = "threshold"
    over: Fraction
    epoch: Epoch = Epoch.LAST

    @property
    def by(self) -> By:
        """Strengths are logarithms of weights already."""
        return By.LOGIT

    @property
    def rule(self) -> Threshold:
        """The rule by which the leading architecture is shown while a search goes on."""
        return self

    @property
    def threshold(self) -> float | None:
        """The least weight of an item that a pick of no fixed number takes."""
        return self.over

    def measured(self, by: By) -> Threshold:
        """The rule itself: it compares weights."""
        return self


class Menus(Strongest):
    """The strongest ``keep`` items of each choice, which stays a choice, and picks as they are: a smaller space.

    The architecture that `strongest` derives lies in it (P-DARTS).
    """

    word = "menus"
    keep: Several


Derivation = Strongest | BestPath | Threshold | Menus
