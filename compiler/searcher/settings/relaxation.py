"""Relaxations: how the choices of a space are made differentiable, or drawn.

To add one, write its class, add it to `Relaxation`, and build it in `searcher/relaxations`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated

from pydantic import AfterValidator

from .schedules import Constant, Schedule
from .words import Amount, Count, Flag, Word


class RelaxationWord(Word):
    """How a forward pass computes a choice that is not decided yet."""

    @property
    @abstractmethod
    def mixes(self) -> bool:
        """Whether alternatives are added up, so that they must have one shape; else one of them is drawn."""


class Softmax(RelaxationWord):
    """Every choice is the sum of its items, weighted by a softmax of its alphas."""

    word = "softmax"

    @property
    def mixes(self) -> bool:
        """Alternatives are added up."""
        return True


class Sigmoid(RelaxationWord):
    """Every choice is the sum of its items, each weighted by a sigmoid of its alpha: items do not compete."""

    word = "sigmoid"

    @property
    def mixes(self) -> bool:
        """Alternatives are added up."""
        return True


class Dirichlet(RelaxationWord):
    """Every choice is the sum of its items, whose weights are drawn from a Dirichlet distribution in every pass."""

    word = "dirichlet"

    @property
    def mixes(self) -> bool:
        """Alternatives are added up."""
        return True


def _warm(schedule: Schedule) -> Schedule:
    if schedule.range()[0] <= 0:
        raise ValueError(f"a temperature of {schedule.describe()} reaches 0, by which nothing can be divided")
    return schedule


class Gumbel(RelaxationWord):
    """A softmax of alphas plus Gumbel noise, divided by a temperature; ``hard``: only one architecture runs."""

    word = "gumbel"
    temperature: Annotated[Schedule, AfterValidator(_warm)] = Constant(value=1.0)
    hard: Flag = False

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up: only softly."""
        return not self.hard


class Uniform(Word):
    """Weights learn on architectures drawn uniformly, decision by decision."""

    word = "uniform"


class Policy(Word):
    """Weights learn on architectures as the alphas make them probable."""

    word = "policy"


class Fair(Word):
    """Weights learn on as many architectures a step as a choice has items, each item in one of them (FairNAS)."""

    word = "fair"


class Sandwich(Word):
    """Weights learn on the largest architecture, the smallest, and so many drawn uniformly (BigNAS)."""

    word = "sandwich"
    random: Amount = 2


Draws = Uniform | Policy | Fair | Sandwich


class Sample(RelaxationWord):
    """One architecture a pass; ``share``: the widths and kernels of a choice are slices of one weight.

    ``weights`` says which architectures a step of the weights learns on; it is taken on the mean of ``draws`` of them.
    """

    word = "sample"
    share: Flag = False
    weights: Draws = Uniform()
    draws: Count = 1

    @property
    def mixes(self) -> bool:
        """Alternatives are not added up: one is drawn."""
        return False


Relaxation = Softmax | Sigmoid | Dirichlet | Gumbel | Sample
