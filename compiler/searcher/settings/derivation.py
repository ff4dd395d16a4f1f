"""Rules of derivation: which architecture the alphas of a search select."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .words import Named, Word

Several = Annotated[int, Field(ge=2, description="a whole number above 1")]


class By(Named):
    """How strong an item is: its raw alpha, or its probability, which the share of `none` lowers (DARTS)."""

    PROBABILITY = "probability"
    LOGIT = "logit"


class Epoch(Named):
    """Which architecture is reported: of the last epoch, of that with the best supernet accuracy, or of one before.

    Which epoch is before the end of a search its setting `until` says; of one that did not end early it is the last.
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


class BestPath(Strongest):
    """The most probable way to reach the output of a text with `prune`, such as a path through a trellis."""

    word = "best_path"


class Menus(Strongest):
    """The strongest ``keep`` items of each choice, which stays a choice, and picks as they are: a smaller space.

    The architecture that `strongest` derives lies in it (P-DARTS).
    """

    word = "menus"
    keep: Several


Derivation = Strongest | BestPath | Menus
