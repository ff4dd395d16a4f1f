"""When a search ends before its last epoch: conditions on what is known of it, asked after every epoch.

To add one, write its class and add it to `Stopping`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hdas_dsl.names import is_called, is_copy

from .words import Amount, Count, Positive, Text, Within, Word

SHIFT = 1e-3
"""What is added to the eigenvalues of Hessians, so that ratios of small ones mean something (RobustDARTS)."""


@dataclass(frozen=True)
class Evidence:
    """What a search knows after an epoch.

    ``unchanged``: for how many epochs in a row the alphas have moved and the leading architecture stayed as it is;
    ``taken``: the items that it takes of menus, by the copy of the cell that they are in; ``sharpness``: the largest
    eigenvalues of the Hessian of the alphas, oldest first, where the condition asks for them.
    """

    unchanged: int = 0
    taken: Mapping[str, Sequence[str]] = field(default_factory=dict)
    sharpness: Sequence[float] = ()


class StopWord(Word):
    """A condition that ends a search."""

    @abstractmethod
    def holds(self, evidence: Evidence) -> bool:
        """Whether the search ends now."""

    def measures(self, epoch: int) -> bool:
        """Whether it asks for the sharpness at the end of an epoch, from 0."""
        return False

    def before(self, epoch: int) -> int:
        """The epoch, from 0, whose architecture is that before the condition came true, at the end of ``epoch``."""
        return epoch


class Never(StopWord):
    """The search goes on to its last epoch."""

    word = "never"

    def holds(self, evidence: Evidence) -> bool:
        """It never ends."""
        return False


class Unchanged(StopWord):
    """The leading architecture has stayed the same for so many epochs in which the alphas moved (DARTS+)."""

    word = "unchanged"
    positional = ("epochs",)
    epochs: Count

    def holds(self, evidence: Evidence) -> bool:
        """Whether it has."""
        return evidence.unchanged >= self.epochs


class Taken(StopWord):
    """The leading architecture takes an item at least so often in one cell, of any name or of one name (DARTS+)."""

    word = "taken"
    positional = ("item", "least")
    item: Text
    least: Count
    within: Within = None
    """The cell; by default any."""

    def holds(self, evidence: Evidence) -> bool:
        """Whether it does."""
        taken = evidence.taken.items()
        cells = (items for copy, items in taken if self.within is None or is_copy(copy, self.within))
        return any(sum(is_called(item, self.item) for item in items) >= self.least for items in cells)


class Sharpness(StopWord):
    """The loss of the alphas bends ``over`` times as sharply as ``lag`` records before (RobustDARTS).

    A record is the largest eigenvalue of the Hessian after every ``every``-th epoch, the first one included; compared
    are means of ``window`` records. The architecture before is that of the centre of the earlier window, and no epoch
    earlier than ``begin``, from 0, is such a centre.
    """

    word = "sharpness"
    positional = ("over",)
    over: Positive
    window: Count = 5
    lag: Count = 4
    every: Count = 2
    begin: Amount = 10

    def measures(self, epoch: int) -> bool:
        """After the first epoch, and after every so many more."""
        return epoch % self.every == 0

    def before(self, epoch: int) -> int:
        """The centre of the window compared with, where the last record is of ``epoch``."""
        return epoch - self.every * (self.window // 2 + self.lag)

    def holds(self, evidence: Evidence) -> bool:
        """Whether it does."""
        records = evidence.sharpness
        last = self.every * (len(records) - 1)
        if len(records) < self.window + self.lag or self.before(last) < self.begin:
            return False
        then = records[: -self.lag][-self.window :]
        return self._mean(records[-self.window :]) > self.over * self._mean(then)

    def _mean(self, records: Sequence[float]) -> float:
        return sum(records) / len(records) + SHIFT


Stopping = Never | Unchanged | Taken | Sharpness
