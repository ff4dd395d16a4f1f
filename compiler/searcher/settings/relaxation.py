"""Relaxations: how the choices of a space are made differentiable, or drawn.

To add one, write its class, add it to `Relaxation`, and build it in `searcher/relaxations`.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, Self

from pydantic import AfterValidator, model_validator

from .schedules import Constant, Schedule
from .words import Amount, Count, Flag, Named, Word


class RelaxationWord(Word):
    """How a forward pass computes a choice that is not decided yet."""

    @property
    @abstractmethod
    def mixes(self) -> bool:
        """Whether alternatives are added up, so that they must have one shape; else one of them is drawn."""

    @property
    def runs_all(self) -> bool:
        """Whether all items of a choice run in a pass."""
        return self.mixes


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


class Sparse(RelaxationWord):
    """Of all items of a pick's menus as many run as it takes: those that a code of ``dims`` numbers stands for."""

    word = "sparse"
    dims: Count = 7

    @property
    def mixes(self) -> bool:
        """Alternatives are added up."""
        return True


def _warm(schedule: Schedule) -> Schedule:
    if schedule.range()[0] <= 0:
        raise ValueError(f"a temperature of {schedule.describe()} reaches 0, by which nothing can be divided")
    return schedule


class Idle(Named):
    """The output of an item that does not run, in the gradient of its weight."""

    ZEROS = "zeros"
    ONES = "ones"


class Picks(Named):
    """Whether a pass draws the candidates of picks, or runs all of them and draws items of menus alone."""

    DRAWN = "drawn"
    ALL = "all"


class Shares(Named):
    """How alphas become probabilities: by a softmax, or as what is above zero of them, divided by its sum (DATA)."""

    SOFTMAX = "softmax"
    RELU = "relu"


class Gumbel(RelaxationWord):
    """A softmax of alphas plus Gumbel noise, divided by a temperature; ``hard``: only what is drawn runs.

    Of each menu ``draws`` items are drawn, united and divided by their number.
    """

    word = "gumbel"
    temperature: Annotated[Schedule, AfterValidator(_warm)] = Constant(value=1.0)
    hard: Flag = False
    draws: Count = 1
    idle: Idle = Idle.ZEROS
    picks: Picks = Picks.DRAWN
    logits: Shares = Shares.SOFTMAX

    @model_validator(mode="after")
    def _draws_are_hard(self) -> Self:
        if not self.hard and self.written(full=False).keys() - {"temperature"}:
            raise ValueError("draws, idle, picks and logits say what runs and learns of a draw: they need hard = true")
        if self.draws > 1 and self.picks is Picks.DRAWN:
            raise ValueError("several draws of a menu are united, but not of a pick: they need picks = all")
        return self

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up: softly, or where several are drawn."""
        return not self.hard or self.draws > 1

    @property
    def runs_all(self) -> bool:
        """Whether all items of a choice run: only softly."""
        return not self.hard


class GatePaths(Named):
    """How many items of a menu the alphas learn from."""

    TWO = "2"
    ALL = "all"


class Gates(RelaxationWord):
    """One item of each menu is drawn; alphas learn from ``paths`` of them, run for that alone (ProxylessNAS)."""

    word = "gates"
    paths: GatePaths = GatePaths.TWO

    @property
    def mixes(self) -> bool:
        """Alternatives are added up: those that run for the alphas with weights of zero."""
        return True

    @property
    def runs_all(self) -> bool:
        """Not all items of a choice run."""
        return False


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


class NoRelaxation(RelaxationWord):
    """There is no supernet: architectures are proposed, and each is judged by itself."""

    word = "none"

    @property
    def mixes(self) -> bool:
        """Nothing is added up."""
        return False


Relaxation = Softmax | Sigmoid | Dirichlet | Sparse | Gumbel | Gates | Sample | NoRelaxation
