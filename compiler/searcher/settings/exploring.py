"""Explorers, which propose architectures one after the other.

To add one, write its class, add it to its union, and build it in `searcher/explore`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, model_validator

from .derivation import Epoch, Strongest
from .judges import ProxyName
from .words import Amount, Count, Named, Text, Word

Probability = Annotated[float, Field(ge=0, le=1, description="a number from 0 to 1")]


class ExplorerWord(Word):
    """The best of architectures that are proposed and judged, instead of the one that alphas select."""

    epoch: ClassVar[Epoch] = Epoch.LAST
    """Weights are judged as the last epoch leaves them."""

    @property
    def rule(self) -> Strongest:
        """The rule by which the leading architecture is shown while weights still learn."""
        return Strongest()


class Draw(Named):
    """How architectures are drawn: all are equally likely, or the items of each choice are by their weights."""

    UNIFORM = "uniform"
    WEIGHTS = "weights"


class RandomDraws(ExplorerWord):
    """``trials`` architectures, drawn independently, uniformly or by weights, in each of ``rounds``.

    With ``again``, the best so many of each round are judged again, on all images, and the best of these is derived
    (random search with weight sharing).
    """

    word = "random"
    positional = ("trials",)
    trials: Count
    again: Amount = 0
    rounds: Count = 1
    draw: Draw = Draw.UNIFORM

    @model_validator(mode="after")
    def _fewer_are_judged_again(self) -> RandomDraws:
        if self.again > self.trials:
            raise ValueError(f"of {self.trials} architectures no {self.again} can be judged again")
        return self


class Genetic(ExplorerWord):
    """``rounds`` of ``population`` new architectures each, of which the first round is drawn (SPOS).

    A later one has mutants of the best ``parents`` so far, each of whose choices is drawn anew with the probability
    ``rate``, children of two of them, and for the rest architectures that are drawn.
    """

    word = "genetic"
    rounds: Count = 20
    population: Count = 50
    parents: Count = 10
    mutants: Amount = 25
    children: Amount = 25
    rate: Probability = 0.1

    @model_validator(mode="after")
    def _population_holds_them(self) -> Genetic:
        if self.mutants + self.children > self.population:
            raise ValueError(f"{self.mutants} mutants and {self.children} children are more than a population")
        return self


class Evolution(ExplorerWord):
    """``trials`` architectures: a ``population`` that is drawn, then mutants of the best of a ``tournament``.

    The population is drawn uniformly or by weights. Each mutant replaces the oldest of the population (regularized
    evolution; Real et al., AAAI 2019).
    """

    word = "evolution"
    positional = ("trials",)
    trials: Count
    population: Count = 100
    tournament: Count = 25
    draw: Draw = Draw.UNIFORM


class Local(ExplorerWord):
    """From an architecture that is drawn to the first neighbour that is better, until none is (White et al., UAI 2021).

    A neighbour differs in one choice. At most ``trials`` architectures are judged.
    """

    word = "local"
    positional = ("trials",)
    trials: Count


class InitialDrawn(Word):
    """Draws."""

    word = "drawn"


class InitialSpread(Word):
    """Those far from each other."""

    word = "spread"


class InitialBest(Word):
    """Those with the best mean rank by zero-cost proxies, of alike ones one; by the features where none are named."""

    word = "best"
    positional = ("names",)
    by_list = True
    names: Annotated[tuple[ProxyName, ...], Field(description="names of proxies")] = ()


Initial = InitialDrawn | InitialSpread | InitialBest
"""What a predictor has judged before it has learned anything."""


class Acquisition(Named):
    """By what a predictor prefers one architecture to another."""

    MEAN = "mean"
    THOMPSON = "thompson"


class Predictor(ExplorerWord):
    """``trials`` architectures, of which the first ``start`` are drawn; then rounds of ``batch`` that look best.

    How good they may be is learned from those that were judged, by a forest of ``trees``. Each round takes those with
    the best mean over the trees: of ``among`` neighbours of the best so far and as many draws, or of the whole space
    where it is small. Where ``acquisition = thompson``, it takes those with the best draw from their mean and
    deviation, of neighbours and draws alone (after BANANAS; White et al., AAAI 2021).

    It learns from the decisions, and from zero-cost proxies where these are named as ``features``: a space is then
    small where it has at most ``among`` architectures. Instead of draws the ``initial`` ones may be, of ``among`` draws
    or of all where there are no more, those far from each other, or those that proxies rank best.
    """

    word = "predictor"
    positional = ("trials",)
    trials: Count
    start: Count = 10
    batch: Count = 5
    among: Count = 50
    trees: Count = 100
    features: Annotated[tuple[ProxyName, ...], Field(description="names of proxies")] = ()
    initial: Initial = InitialDrawn()
    acquisition: Acquisition = Acquisition.MEAN

    @model_validator(mode="after")
    def _best_by_something(self) -> Predictor:
        if isinstance(self.initial, InitialBest) and not self.screening:
            raise ValueError("`initial = best` ranks by proxies: name some, `initial = best(jacob_cov, macs)`")
        return self

    @property
    def screening(self) -> tuple[ProxyName, ...]:
        """The proxies by which those that are judged first are ranked."""
        return (self.initial.names or self.features) if isinstance(self.initial, InitialBest) else ()


class OwnExplorer(ExplorerWord):
    """At most ``trials`` architectures that a class of your own proposes, ``"mine.py:Class"`` or an entry point."""

    word = "own"
    positional = ("path", "trials")
    path: Text
    trials: Count


class Objective(Named):
    """What an architecture is measured by, where several things count."""

    ACCURACY = "accuracy"
    SCORE = "score"
    """The same by another name, for metrics that are no accuracy."""
    PARAMS = "params"
    MACS = "macs"
    MEMORY = "memory"

    @property
    def is_judged(self) -> bool:
        """Whether it is what the judge says, and no cost."""
        return self in (Objective.ACCURACY, Objective.SCORE)


class Nsga2(ExplorerWord):
    """``trials`` architectures in generations of ``population``, of which several objectives are asked (NSGA-II).

    ``accuracy``, or ``score``, is what the judge says, the better the more; costs are minimised. The first generation
    is drawn; a later one has children of two parents, each the winner of a tournament of two, and each choice of a
    child is drawn anew with the probability ``rate``. Parents are the best of the parents before and their children:
    by their front, and in a front by their distance from others (Deb et al., 2002). None is proposed twice while
    there are others.
    """

    word = "nsga2"
    positional = ("trials",)
    trials: Count
    population: Annotated[int, Field(ge=2, description="a whole number, at least 2")] = 50
    rate: Probability = 0.1
    pareto: Annotated[tuple[Objective, ...], Field(min_length=1, description="names of objectives")] = (
        Objective.ACCURACY,
        Objective.MACS,
    )

    @model_validator(mode="after")
    def _asks_the_judge(self) -> Nsga2:
        judged = sum(name.is_judged for name in self.pareto)
        if judged != 1 or len(set(self.pareto)) < max(2, len(self.pareto)):
            raise ValueError("`pareto` names accuracy or score, and at least one cost beside it, each once")
        return self


class OptunaSampler(Named):
    """A sampler of Optuna."""

    TPE = "tpe"
    NSGA2 = "nsga2"
    CMAES = "cmaes"


class Sampled(ExplorerWord):
    """``trials`` architectures that a sampler of Optuna suggests, with its own defaults (extra ``optuna``).

    Each decision that exists is a parameter: of integers where it chooses a number, else categorical. `tpe` learns each
    by itself (Bergstra et al., NeurIPS 2011); `nsga2` has generations of 50, here with one objective; `cmaes` learns
    the numbers that every architecture has, and draws the rest.
    """

    word = "optuna"
    positional = ("trials",)
    trials: Count
    sampler: OptunaSampler = OptunaSampler.TPE

    @property
    def needs(self) -> tuple[str, ...]:
        """The modules without which it cannot propose."""
        return ("optuna", "cmaes") if self.sampler is OptunaSampler.CMAES else ("optuna",)


Shipped = RandomDraws | Genetic | Evolution | Local | Predictor | Nsga2 | Sampled
Explorer = Shipped | OwnExplorer
