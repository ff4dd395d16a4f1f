"""Scores of menus: in which order menus are decided, and for which of their items, as a supernet has them now."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, assert_never

import torch
from torch import Tensor

from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision
from compiler.searcher.settings.narrowing import ByCertainty, ByDamage, ByStrength, Measure

from .live import Live

Kept = Mapping[str, Sequence[int]]
"""The items that live on, by the path of their decision."""

Trial = Callable[[Mapping[str, Tensor], Measure], float]
"""How good it is at given mixing weights, by path."""


class Narrowable(Protocol):
    """The part of a supernet that narrowing uses."""

    space: Elaborated
    live: Live

    def mixing(self) -> dict[str, Tensor]:
        """The weights of every decision's items at the current alphas, by path, (items) each."""

    def distributions(self) -> dict[str, Tensor]:
        """The probabilities of all items by their alphas, also of those that were given up, by path, (items) each."""


class Score(ABC):
    """How menus are ordered, and what each is decided for."""

    history = 0

    @abstractmethod
    def decide(
        self, supernet: Narrowable, cell: Sequence[str], undecided: Sequence[str], trial: Trial
    ) -> dict[str, Scored]:
        """The score and the item of each undecided menu of a cell; ``cell`` are all its menus."""


Scored = tuple[float, int]
"""The score of a menu, and the item that it is decided for."""


class StrengthScore(Score):
    """The weight of the strongest item that can be derived."""

    def decide(
        self, supernet: Narrowable, cell: Sequence[str], undecided: Sequence[str], trial: Trial
    ) -> dict[str, Scored]:
        """The strongest items."""
        weights = supernet.mixing()
        return {
            path: (float(weights[path][item]), item) for path in undecided for item in [_best(supernet, path, weights)]
        }


class CertaintyScore(Score):
    """Importance, certainty and stability, each scaled to [0, 1] over the menus of the cell, and multiplied.

    Importance is the probability of what can be derived, 1 less that of `none`. Certainty is 1 less the entropy of
    these items, as a share of the largest. Stability, with a history, is the mean overlap of the present distribution
    with those remembered. Li et al., "SGAS: Sequential Greedy Architecture Search" (CVPR 2020), equations 4 to 8.
    """

    def __init__(self, history: int) -> None:
        self.history = history

    def decide(
        self, supernet: Narrowable, cell: Sequence[str], undecided: Sequence[str], trial: Trial
    ) -> dict[str, Scored]:
        """The strongest items, of menus that matter and are sure."""
        now, decisions = supernet.distributions(), supernet.space.decisions
        factors = [
            [_importance(decisions[path], now[path]) for path in cell],
            [_certainty(decisions[path], now[path]) for path in cell],
        ]
        if self.history:
            factors.append([_stability(now[path], supernet.live.remembered(path)) for path in cell])
        scores = dict.fromkeys(cell, 1.0)
        for factor in factors:
            for path, value in zip(cell, scaled(factor), strict=True):
                scores[path] *= value
        weights = supernet.mixing()
        return {path: (scores[path], _best(supernet, path, weights)) for path in undecided}


class DamageScore(Score):
    """How much worse the supernet does without an item, the others weighed as they are.

    Wang et al., "Rethinking Architecture Selection in Differentiable NAS" (ICLR 2021).
    """

    def __init__(self, measure: Measure) -> None:
        self.measure = measure

    def decide(
        self, supernet: Narrowable, cell: Sequence[str], undecided: Sequence[str], trial: Trial
    ) -> dict[str, Scored]:
        """The items whose absence hurts most; the scores are how good the supernet is without them, negated."""
        found = {}
        for path in undecided:
            usable = [i for i in supernet.live.items(path) if supernet.space.decisions[path].derivable[i]]
            without = {item: self.without(supernet, {path: [item]}, trial) for item in usable}
            item = min(without, key=lambda item: (without[item], item))
            found[path] = (-without[item], item)
        return found

    def without(self, supernet: Narrowable, items: Kept, trial: Trial) -> float:
        """How good the supernet is without some items."""
        weights = supernet.mixing()
        for path, gone in items.items():
            weights[path] = weights[path].clone()
            weights[path][list(gone)] = 0
        return trial(weights, self.measure)


def score_by(word: ByStrength | ByCertainty | ByDamage) -> Score:
    """The score of a word."""
    match word:
        case ByStrength():
            return StrengthScore()
        case ByCertainty(history=history):
            return CertaintyScore(history)
        case ByDamage(measure=measure):
            return DamageScore(measure)
        case never:
            assert_never(never)


def scaled(values: Sequence[float]) -> list[float]:
    """Numbers moved and stretched to [0, 1]; 1 each where all are equal."""
    low, high = min(values), max(values)
    return [(value - low) / (high - low) if high > low else 1.0 for value in values]


def _best(supernet: Narrowable, path: str, weights: Mapping[str, Tensor]) -> int:
    """The strongest item of a menu that lives and can be derived."""
    values, derivable = weights[path].tolist(), supernet.space.decisions[path].derivable
    return max((i for i in supernet.live.items(path) if derivable[i]), key=lambda item: (values[item], -item))


def _importance(decision: Decision, distribution: Tensor) -> float:
    return float(distribution[torch.tensor(decision.derivable)].sum())


def _certainty(decision: Decision, distribution: Tensor) -> float:
    found = distribution[torch.tensor(decision.derivable)]
    if len(found) < 2:
        return 1.0
    entropy = torch.special.entr(found / found.sum()).sum()
    return 1 - float(entropy / torch.tensor(len(found), dtype=entropy.dtype).log())


def _stability(now: Tensor, past: Tensor) -> float:
    """The mean overlap with remembered distributions, from 0 to 1; 0 without any."""
    return float(torch.minimum(now.to(past), past).sum(1).mean()) if len(past) else 0.0
