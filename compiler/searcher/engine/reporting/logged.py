"""Numbers of a run for the loggers that a user handed over."""

from __future__ import annotations

from compiler.searcher.listeners import Listeners

from .records import EpochRecord
from .sink import Sink


class Logged(Sink):
    """Every number of every epoch, and what is observed of every decision, as `Events` has them.

    Args:
        listeners: have the loggers.
        phase: the name of the phase, below which its numbers stand.
    """

    def __init__(self, listeners: Listeners, phase: str) -> None:
        self.listeners, self.phase = listeners, phase

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Log the numbers of an epoch."""
        self.listeners.log(record.scalars | record.observed.scalars(), record.epoch, self.phase)
