"""Narrowing: which items a supernet gives up after so many epochs. A plan says what lives; `Supernet.narrow` does it.

To add a way, write its class here and its line in `narrower_of`; its word stands in `searcher/settings/narrowing.py`.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol, assert_never

import torch
from torch import Tensor

from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, menus
from compiler.searcher.settings.narrowing import (
    ByCertainty,
    ByDamage,
    ByStrength,
    Measure,
    MenuOrder,
    Narrowing,
    NoNarrowing,
    OneByOne,
    Together,
)

from .live import Live

Kept = Mapping[str, Sequence[int]]
"""The items that live on, by the path of their decision."""

Judge = Callable[[Measure], float]
"""How good the supernet is as it is now, on the images of the alphas: the more the better."""

Trial = Callable[[Mapping[str, Tensor], Measure], float]
"""How good it is at given mixing weights, by path."""


class Narrowable(Protocol):
    """What narrowing asks of a supernet."""

    space: Elaborated
    live: Live

    def mixing(self) -> dict[str, Tensor]:
        """The weights of every decision's items at the current alphas, by path, (items) each."""

    def distributions(self) -> dict[str, Tensor]:
        """The probabilities of all items by their alphas, also of those that were given up, by path, (items) each."""


class Narrower(ABC):
    """A way to give up items. ``history`` is how many distributions of items it wants remembered."""

    history = 0

    @abstractmethod
    def plan(self, supernet: Narrowable, done: int, trial: Trial) -> Kept:
        """What lives on after ``done`` epochs; decisions that do not change may be left out."""


class TogetherNarrower(Narrower):
    """Every menu keeps its strongest items. One that can be derived always stays.

    Chen et al., "Progressive Differentiable Architecture Search" (ICCV 2019); Chen et al., "DrNAS" (ICLR 2021).
    """

    def __init__(self, word: Together) -> None:
        self.keep = dict(zip(word.at, word.keep, strict=True))

    def plan(self, supernet: Narrowable, done: int, trial: Trial) -> Kept:
        """The strongest items of every menu, as many as the word says for these epochs."""
        if done not in self.keep:
            return {}
        weights, decisions = supernet.mixing(), supernet.space.decisions
        return {
            path: _strongest(decisions[path], weights[path].tolist(), supernet.live.items(path), self.keep[done])
            for path in menus(decisions)
        }


class Score(ABC):
    """How menus are ordered, and what each is decided for."""

    history = 0

    @abstractmethod
    def decide(
        self, supernet: Narrowable, cell: Sequence[str], undecided: Sequence[str], trial: Trial
    ) -> dict[str, Scored]:
        """Of each undecided menu of a cell its score and its item; ``cell`` are all its menus."""


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
    these items, as a share of the largest. Stability, with a history, is the mean overlap of the distribution of now
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


class OneByOneNarrower(Narrower):
    """One menu of each cell is decided at a time.

    Args:
        word: when, and in which order.
        seed: what a random order follows from.
    """

    def __init__(self, word: OneByOne, seed: int) -> None:
        self.word, self.seed = word, seed
        self.score = score_of(word.by)
        self.history = self.score.history

    def plan(self, supernet: Narrowable, done: int, trial: Trial) -> Kept:
        """One item for one menu of each cell, or the candidates of a pick all of whose menus are decided."""
        kept: dict[str, Sequence[int]] = {}
        if not self.word.decides(done):
            return kept
        decisions = supernet.space.decisions
        for copy in dict.fromkeys(decision.copy for decision in decisions.values()):
            order = random.Random(f"{self.seed} {done} {copy}")
            cell = [path for path in menus(decisions) if decisions[path].copy == copy]
            open_ = [path for path in cell if len(supernet.live.items(path)) > 1]
            if open_:
                wanted = [order.choice(open_)] if self.word.next is MenuOrder.RANDOM else open_
                scored = self.score.decide(supernet, cell, wanted, trial)
                path = max(scored, key=lambda path: scored[path][0])
                kept[path] = [scored[path][1]]
                if not isinstance(self.score, DamageScore):
                    kept |= _given_up_beside(supernet, path)
            elif isinstance(self.score, DamageScore):
                kept |= self._pick(supernet, copy, order, self.score, trial)
        return kept

    def _pick(
        self, supernet: Narrowable, copy: str, order: random.Random, score: DamageScore, trial: Trial
    ) -> dict[str, Sequence[int]]:
        """The menus that die where a pick of decided menus is left with those whose absence hurts most."""
        decisions, live = supernet.space.decisions, supernet.live
        open_ = [
            path
            for path, decision in decisions.items()
            if decision.copy == copy and decision.candidates and len(live.candidates(path)) > decision.take
        ]
        if not open_:
            return {}
        decision = decisions[order.choice(open_) if self.word.next is MenuOrder.RANDOM else open_[0]]
        menus_of = {i: menu for i in live.candidates(decision.path) if (menu := decision.candidates[i]) is not None}
        without = {
            i: score.without(supernet, {menu: range(len(decisions[menu].items))}, trial) for i, menu in menus_of.items()
        }
        stays = sorted(without, key=lambda i: (without[i], i))[: decision.take]
        return {menu: () for i, menu in menus_of.items() if i not in stays}


def narrower_of(word: Narrowing, seed: int) -> Narrower | None:
    """The way of a word of the setting `narrow`; None where nothing is given up."""
    match word:
        case NoNarrowing():
            return None
        case Together():
            return TogetherNarrower(word)
        case OneByOne():
            return OneByOneNarrower(word, seed)
        case never:
            assert_never(never)


def score_of(word: ByStrength | ByCertainty | ByDamage) -> Score:
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


def _strongest(decision: Decision, weights: Sequence[float], items: Iterable[int], count: int) -> list[int]:
    """The strongest items that live, in source order, at least one of which can be derived."""
    ordered = sorted(items, key=lambda item: (-weights[item], item))
    kept = ordered[:count]
    if not any(decision.derivable[item] for item in kept):
        kept = [*kept[:-1], next(item for item in ordered if decision.derivable[item])]
    return sorted(kept)


def _best(supernet: Narrowable, path: str, weights: Mapping[str, Tensor]) -> int:
    """The strongest item of a menu that lives and can be derived."""
    values, derivable = weights[path].tolist(), supernet.space.decisions[path].derivable
    return max((i for i in supernet.live.items(path) if derivable[i]), key=lambda item: (values[item], -item))


def _given_up_beside(supernet: Narrowable, decided: str) -> dict[str, Sequence[int]]:
    """The menus that die because a pick has now as many decided menus as it takes."""
    live = supernet.live
    gone: dict[str, Sequence[int]] = {}
    for path, decision in supernet.space.decisions.items():
        if decided not in decision.candidates:
            continue
        menus_of = [menu for i in live.candidates(path) if (menu := decision.candidates[i]) is not None]
        sure = [menu for menu in menus_of if menu == decided or len(live.items(menu)) == 1]
        if len(sure) >= decision.take:
            gone |= {menu: () for menu in menus_of if menu not in sure}
    return gone


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
