"""Schedules: numbers that change over the epochs, such as a learning rate.

They are closed forms in (epoch, epochs) and remember nothing, so that a resumed run follows the same curve. To add one,
write its class and add it to `Schedule`.

Published methods measure time in two ways: as e / E, so that the end of a curve is never reached, and as e / (E - 1),
so that the last epoch has the end of the curve. `ends = last` says the second.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from bisect import bisect_right
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from .words import Amount, Count, Fraction, Named, NonNegative, Positive, Word

Numbers = Annotated[tuple[NonNegative, ...], Field(min_length=1, description="a list of numbers, each 0 or more")]
Epochs = Annotated[tuple[Amount, ...], Field(min_length=1, description="a list of epochs")]


class Per(Named):
    """When a schedule takes its next value."""

    EPOCH = "epoch"
    STEP = "step"


class Ends(Named):
    """When a curve reaches its end: after the last epoch, or in it."""

    AFTER = "after"
    LAST = "last"


class ScheduleWord(Word):
    """A number over the epochs; in the first ``warmup`` of them it rises to its start, a line that begins above 0."""

    warmup: Amount = 0
    per: Per = Per.EPOCH
    ends: Ends = Ends.AFTER

    def __call__(self, epoch: float, epochs: int) -> float:
        """The value at ``epoch`` of ``epochs``, 0 being the start; between two epochs, ``epoch`` is fractional."""
        if self.per is Per.EPOCH:
            epoch = math.floor(epoch)
        if epoch < self.warmup:
            return self.curve(0, 1) * (epoch + 1) / (self.warmup + 1)
        last = 1 if self.ends is Ends.LAST else 0
        return self.curve(epoch - self.warmup, max(epochs - self.warmup - last, 1))

    @abstractmethod
    def curve(self, epoch: float, epochs: int) -> float:
        """The value after the warm-up, which ``epoch`` and ``epochs`` leave out."""

    def range(self) -> tuple[float, float]:
        """The smallest and the largest value of the curve over one epoch of one: where it starts and where it ends."""
        start, end = self.curve(0, 1), self.curve(1, 1)
        return min(start, end), max(start, end)

    @property
    def is_off(self) -> bool:
        """Whether it is 0 all the time."""
        return self.range()[1] == 0


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


class Steps(ScheduleWord):
    """One value after the other: ``values[i]`` from epoch ``at[i]`` on, the first from epoch 0."""

    word = "steps"
    positional = ("values",)
    values: Numbers
    at: Epochs

    @model_validator(mode="after")
    def _one_start_for_each(self) -> Self:
        if len(self.values) != len(self.at) or self.at[0] != 0 or list(self.at) != sorted(set(self.at)):
            raise ValueError("steps take one epoch for each value: from 0 on, each later than the one before")
        return self

    def curve(self, epoch: float, epochs: int) -> float:
        """The value of the last start that is not later than ``epoch``."""
        return self.values[bisect_right(self.at, epoch) - 1]

    def range(self) -> tuple[float, float]:
        """The smallest and the largest of its values."""
        return min(self.values), max(self.values)


class Pieces(ScheduleWord):
    """Two schedules, one after the other: ``first`` up to epoch ``at``, then ``second``, as if time began there."""

    word = "pieces"
    positional = ("first", "second")
    first: Schedule
    second: Schedule
    at: Count

    def curve(self, epoch: float, epochs: int) -> float:
        """``first`` over the epochs before ``at``, ``second`` over those that are left."""
        if epoch < self.at:
            return self.first(epoch, self.at)
        return self.second(epoch - self.at, max(epochs - self.at, 1))

    def range(self) -> tuple[float, float]:
        """The smallest and the largest value of both."""
        ranges = (self.first.range(), self.second.range())
        return min(low for low, _ in ranges), max(high for _, high in ranges)


class Part(ScheduleWord):
    """The part of a schedule between two shares of its time: a phase of half the epochs has half of the curve."""

    word = "part"
    positional = ("whole", "start", "end")
    whole: Schedule
    start: Fraction
    end: Annotated[float, Field(gt=0, le=1, description="a number above 0, at most 1")] = 1.0

    @model_validator(mode="after")
    def _forwards(self) -> Self:
        if self.start >= self.end:
            raise ValueError("a part of a schedule ends later than it starts")
        return self

    def curve(self, epoch: float, epochs: int) -> float:
        """The value of the whole, which goes over as many more epochs as the part is a share of it."""
        longer = epochs / (self.end - self.start)
        return self.whole(round(self.start * longer + epoch, 9), round(longer))

    def range(self) -> tuple[float, float]:
        """The smallest and the largest value of the whole."""
        return self.whole.range()


Schedule = Constant | Cosine | Ramp | Decay | Steps | Pieces | Part
Pieces.model_rebuild()
Part.model_rebuild()


def _is_rate(schedule: Schedule) -> Schedule:
    if schedule.range()[1] >= 1:
        raise ValueError(f"a rate of {schedule.describe()} reaches 1, where nothing is left")
    return schedule


Rate = Annotated[Schedule, AfterValidator(_is_rate)]
"""How probably something is dropped."""
