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
    """An explorer: the best of its proposals is derived, instead of the architecture that alphas select."""

    epoch: ClassVar[Epoch] = Epoch.LAST
    """Architectures are judged with the weights of the last epoch."""

    @property
    def rule(self) -> Strongest:
        """The rule by which the leading architecture is shown while weights still learn."""
        return Strongest()


class Draw(Named):
    """How architectures are drawn: all equally likely, or the items of each choice by their weights."""

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

    A later round has mutants of the best ``parents`` so far, whose choices are each drawn again with the probability
    ``rate``, children of two of these parents, and for the rest drawn architectures.
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
    """Drawn architectures."""

    word = "drawn"


class InitialSpread(Word):
    """Architectures far from each other."""

    word = "spread"


class InitialBest(Word):
    """The best mean ranks by zero-cost proxies, one of each equivalence class; ``features`` where none are named."""

    word = "best"
    positional = ("names",)
    by_list = True
    names: Annotated[tuple[ProxyName, ...], Field(description="names of proxies")] = ()


Initial = InitialDrawn | InitialSpread | InitialBest
"""The architectures that a predictor has judged before it learns."""


class Acquisition(Named):
    """The acquisition function of a predictor: the mean of its trees, or a draw from their mean and deviation."""

    MEAN = "mean"
    THOMPSON = "thompson"


class Predictor(ExplorerWord):
    """``trials`` architectures, of which the first ``start`` are drawn; then rounds of ``batch`` that look best.

    A forest of ``trees`` learns from the judged architectures. Each round takes the architectures with the best mean
    over the trees: of ``among`` neighbours of the best so far and as many draws, or of the whole space where it is
    small. With ``acquisition = thompson`` it takes those with the best draw from the mean and the deviation of the
    trees, of neighbours and draws alone (after BANANAS; White et al., AAAI 2021).

    The forest learns from the decisions, and from zero-cost proxies where these are named as ``features``: a space is
    then small where it has at most ``among`` architectures. The first ``start`` may be chosen as ``initial`` says from
    ``among`` draws, or from the whole space where it has no more.
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
        """The proxies by which the first ``start`` are chosen."""
        return (self.initial.names or self.features) if isinstance(self.initial, InitialBest) else ()


class OwnExplorer(ExplorerWord):
    """At most ``trials`` architectures that a class of your own proposes, ``"mine.py:Class"`` or an entry point."""

    word = "own"
    positional = ("path", "trials")
    path: Text
    trials: Count


class Objective(Named):
    """An objective of several."""

    ACCURACY = "accuracy"
    SCORE = "score"
    """``accuracy`` by another name, for metrics that are not accuracies."""
    PARAMS = "params"
    MACS = "macs"
    MEMORY = "memory"

    @property
    def is_judged(self) -> bool:
        """Whether it is the judge's score, and no cost."""
        return self in (Objective.ACCURACY, Objective.SCORE)


class Nsga2(ExplorerWord):
    """``trials`` architectures in generations of ``population``, for several objectives (NSGA-II).

    ``accuracy``, or ``score``, is the judge's score, which is maximised; costs are minimised. The first generation
    is drawn; a later one has children of two parents, each the winner of a tournament of two, and each choice of a
    child is drawn again with the probability ``rate``. Parents are the best of the last parents and their children:
    by their front, and within a front by crowding distance (Deb et al., 2002). No architecture is proposed twice while
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
        """The Python modules that the sampler needs."""
        return ("optuna", "cmaes") if self.sampler is OptunaSampler.CMAES else ("optuna",)


Shipped = RandomDraws | Genetic | Evolution | Local | Predictor | Nsga2 | Sampled
Explorer = Shipped | OwnExplorer
