"""When a search ends before its last epoch: conditions on the leading architecture, asked after every epoch.

To add one, write its class and add it to `Stopping`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from .words import Count, Text, Word

Within = Annotated[str | None, Field(description="the name of a cell in quotes")]


class StopWord(Word):
    """A condition that ends a search."""

    @abstractmethod
    def holds(self, unchanged: int, taken: Mapping[str, Sequence[str]]) -> bool:
        """Whether the search ends now.

        Args:
            unchanged: for how many epochs in a row the alphas have moved and the leading architecture stayed as it is.
            taken: the items that the leading architecture takes of menus, by the copy of the cell that they are in.
        """


class Never(StopWord):
    """The search goes on to its last epoch."""

    word = "never"

    def holds(self, unchanged: int, taken: Mapping[str, Sequence[str]]) -> bool:
        """It never ends."""
        return False


class Unchanged(StopWord):
    """The leading architecture has stayed the same for so many epochs in which the alphas moved (DARTS+)."""

    word = "unchanged"
    positional = ("epochs",)
    epochs: Count

    def holds(self, unchanged: int, taken: Mapping[str, Sequence[str]]) -> bool:
        """Whether it has."""
        return unchanged >= self.epochs


class Taken(StopWord):
    """The leading architecture takes an item at least so often in one cell, of any name or of one name (DARTS+)."""

    word = "taken"
    positional = ("item", "least")
    item: Text
    least: Count
    within: Within = None
    """The cell; by default any."""

    def holds(self, unchanged: int, taken: Mapping[str, Sequence[str]]) -> bool:
        """Whether it does."""
        cells = taken.values() if self.within is None else [taken.get(self.within, ())]
        return any(items.count(self.item) >= self.least for items in cells)


Stopping = Never | Unchanged | Taken
