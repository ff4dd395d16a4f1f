"""Narrowing: which items a supernet gives up after so many epochs. A plan says what lives; `Supernet.narrow` does it.

To add a way, write its class here and its line in `narrower_of`; its word stands in `searcher/settings/narrowing.py`.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import assert_never

from compiler.ir.decision import Decision, menus
from compiler.searcher.settings.narrowing import (
    Measure,
    MenuOrder,
    Narrowing,
    NoNarrowing,
    OneByOne,
    Together,
)

from .menu_scores import DamageScore, Kept, Narrowable, Trial, score_by

Judge = Callable[[Measure], float]
"""How good the supernet is as it is now, on the images of the alphas: the more the better."""


class Narrower(ABC):
    """A way to give up items. ``history`` is how many distributions of items it wants remembered."""

    history = 0

    @abstractmethod
    def plan(self, supernet: Narrowable, done: int, trial: Trial) -> Kept:
        """The items that live on after ``done`` epochs; decisions that do not change may be left out."""


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


class OneByOneNarrower(Narrower):
    """One menu of each cell is decided at a time.

    Args:
        word: when, and in which order.
        seed: what a random order follows from.
    """

    def __init__(self, word: OneByOne, seed: int) -> None:
        self.word, self.seed = word, seed
        self.score = score_by(word.by)
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
            if decision.copy == copy and decision.candidates and len(live.candidates(path)) > decision.most
        ]
        if not open_:
            return {}
        decision = decisions[order.choice(open_) if self.word.next is MenuOrder.RANDOM else open_[0]]
        menus_of = {i: menu for i in live.candidates(decision.path) if (menu := decision.candidates[i]) is not None}
        without = {
            i: score.without(supernet, {menu: range(len(decisions[menu].items))}, trial) for i, menu in menus_of.items()
        }
        stays = sorted(without, key=lambda i: (without[i], i))[: decision.most]
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


def _strongest(decision: Decision, weights: Sequence[float], items: Iterable[int], count: int) -> list[int]:
    """The strongest items that live, in source order, at least one of which can be derived."""
    ordered = sorted(items, key=lambda item: (-weights[item], item))
    kept = ordered[:count]
    if not any(decision.derivable[item] for item in kept):
        kept = [*kept[:-1], next(item for item in ordered if decision.derivable[item])]
    return sorted(kept)


def _given_up_beside(supernet: Narrowable, decided: str) -> dict[str, Sequence[int]]:
    """The menus that die because a pick has now as many decided menus as it takes."""
    live = supernet.live
    gone: dict[str, Sequence[int]] = {}
    for path, decision in supernet.space.decisions.items():
        if decided not in decision.candidates:
            continue
        menus_of = [menu for i in live.candidates(path) if (menu := decision.candidates[i]) is not None]
        sure = [menu for menu in menus_of if menu == decided or len(live.items(menu)) == 1]
        if len(sure) >= decision.most:
            gone |= {menu: () for menu in menus_of if menu not in sure}
    return gone
