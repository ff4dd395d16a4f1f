"""Relaxations: how the choices of a space are made differentiable, or drawn.

To add one, write its class, add it to `Relaxation`, and build it in `searcher/relaxations`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from .schedules import Constant, Schedule
from .words import Flag, Named, Word


class Softmax(Word):
    """Every choice is the sum of its items, weighted by a softmax of its alphas."""

    word = "softmax"

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up, so that they must have one shape."""
        return True


def _warm(schedule: Schedule) -> Schedule:
    if min(schedule.curve(0, 1), schedule.curve(1, 1)) <= 0:
        raise ValueError(f"a temperature of {schedule.describe()} reaches 0, by which nothing can be divided")
    return schedule


class Gumbel(Word):
    """A softmax of alphas plus Gumbel noise, divided by a temperature; ``hard``: only one architecture runs."""

    word = "gumbel"
    temperature: Annotated[Schedule, AfterValidator(_warm)] = Constant(value=1.0)
    hard: Flag = False

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up: only softly."""
        return not self.hard


class Draws(Named):
    """Which architectures the weights learn on: any, or those that the alphas make probable."""

    UNIFORM = "uniform"
    POLICY = "policy"


class Sample(Word):
    """One architecture a step; ``share``: the widths and kernels of a choice are slices of one weight."""

    word = "sample"
    share: Flag = False
    weights: Draws = Draws.UNIFORM

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up: one is drawn."""
        return False


Relaxation = Softmax | Gumbel | Sample
