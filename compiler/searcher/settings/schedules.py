"""Schedules: numbers that change over the epochs, such as a learning rate.

They are closed forms in (epoch, epochs) and remember nothing, so that a resumed run follows the same curve. To add one,
write its class and add it to `Schedule`.
"""

from __future__ import annotations

import math
from abc import abstractmethod

from .words import Amount, Named, NonNegative, Positive, Word


class Per(Named):
    """When a schedule takes its next value."""

    EPOCH = "epoch"
    STEP = "step"


class ScheduleWord(Word):
    """A number over the epochs; in the first ``warmup`` of them it rises to its start, a line that begins above 0."""

    warmup: Amount = 0
    per: Per = Per.EPOCH

    def at(self, epoch: float, epochs: int) -> float:
        """The value at ``epoch`` of ``epochs``, 0 being the start; between two epochs, ``epoch`` is fractional."""
        if self.per is Per.EPOCH:
            epoch = math.floor(epoch)
        if epoch < self.warmup:
            return self.curve(0, 1) * (epoch + 1) / (self.warmup + 1)
        return self.curve(epoch - self.warmup, max(epochs - self.warmup, 1))

    @abstractmethod
    def curve(self, epoch: float, epochs: int) -> float:
        """The value after the warm-up, which ``epoch`` and ``epochs`` leave out."""


class Constant(ScheduleWord):
    """The same number all the time; written as that number."""

    word = "constant"
    positional = ("value",)
    by_number = True
    value: NonNegative

    def curve(self, epoch: float, epochs: int) -> float:
        """The same number."""
        return self.value


class Cosine(ScheduleWord):
    """Half a wave of a cosine from ``start`` down to ``end``."""

    word = "cosine"
    positional = ("start", "end")
    start: NonNegative
    end: NonNegative = 0.0

    def curve(self, epoch: float, epochs: int) -> float:
        """``end + (start - end) * (1 + cos(pi * epoch / epochs)) / 2`` (SGDR, Loshchilov and Hutter, 2017)."""
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


class Ramp(ScheduleWord):
    """A straight line from ``start`` to ``end``."""

    word = "ramp"
    positional = ("start", "end")
    start: NonNegative
    end: NonNegative

    def curve(self, epoch: float, epochs: int) -> float:
        """``start + (end - start) * epoch / epochs``."""
        return self.start + (self.end - self.start) * epoch / epochs


class Decay(ScheduleWord):
    """``start``, multiplied by ``factor`` every epoch."""

    word = "decay"
    positional = ("start", "factor")
    start: NonNegative
    factor: Positive

    def curve(self, epoch: float, epochs: int) -> float:
        """``start * factor ** epoch``."""
        return self.start * math.pow(self.factor, epoch)


Schedule = Constant | Cosine | Ramp | Decay
