"""The best architecture whose output depends on its input.

A derivation rule decides each choice by itself and may cut every line from the input to the output. Every architecture
that lives differs from a dead one in a decision that the input does not get through, so a search that excludes the
items taken there, one at a time and the best-scoring result first, meets the best that lives before any other.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import count

from compiler.backend.passes.flatten import flatten
from compiler.derivation.reach import Reach, reach
from compiler.derivation.selected_steps import NothingSelectedError, Paths
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind, Selection
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .constrained import Answer
from .score import log_softmax, score_of, scores_of

Strengths = Mapping[str, Sequence[float]]
Excluded = frozenset[tuple[str, int]]

LIMIT = 2000
"""Architectures that are looked at."""
PENALTY = 1e4
"""Taken off the strength of an item that is excluded; far above what strengths differ by."""


def alive(space: Elaborated, strengths: Strengths, by: By, select: Callable[[Strengths, By], Answer]) -> Answer:
    """The answer of a derivation rule if its architecture lives, else the one of the highest score that does.

    Where none of the architectures that are looked at lives, the answer says so (`Answer.is_dead`).

    Args:
        space: the space.
        strengths: of the items of each decision that has alphas, (items).
        by: how strength is measured between the candidates of a pick.
        select: the rule, which may refuse (`UsageError`) strengths under which nothing is left.
    """
    paths = space.once(_with_zeros)
    first = select(strengths, by)
    if _lives(_reach(paths, first.chosen)):
        return first
    found = _best_alive(paths, strengths, by, select)
    if found is None:
        return replace(first, is_dead=True)
    return replace(found, instead_of=first.chosen)


def lives(network: Elaborated) -> bool:
    """Whether the output of an architecture, a network without choices, depends on its input."""
    return _lives(_reach(_with_zeros(network), {}))


def _with_zeros(space: Elaborated) -> Paths:
    """The architectures of a space, with their zeros."""
    return Paths(flatten(space.block.graph), space.decisions, keep_zeros=True)


def _best_alive(paths: Paths, strengths: Strengths, by: By, select: Callable[[Strengths, By], Answer]) -> Answer | None:
    if by is By.PROBABILITY:
        strengths, by = _probabilities(paths, strengths), By.LOGIT
    scores = scores_of(paths.decisions, strengths, by)
    order = count()
    waiting: list[tuple[float, int, Excluded, Answer]] = []
    seen: set[Excluded] = set()

    def wait(excluded: Excluded) -> None:
        if excluded in seen or len(seen) >= LIMIT:
            return
        seen.add(excluded)
        try:
            answer = select(_without(paths, strengths, excluded), by)
        except UsageError:
            return
        if not any(item in answer.chosen[path] for path, item in excluded):
            heapq.heappush(waiting, (-score_of(scores, answer.chosen), next(order), excluded, answer))

    wait(frozenset())
    while waiting:
        _, _, excluded, answer = heapq.heappop(waiting)
        found = _reach(paths, answer.chosen)
        if _lives(found):
            return answer
        for path in found.dead if found else ():
            for item in answer.chosen[path]:
                wait(excluded | {(path, item)})
    return None


def _reach(paths: Paths, chosen: Selection) -> Reach | None:
    """How far the input gets; None where decisions leave no network, which is refused elsewhere."""
    try:
        return reach(paths.path(chosen))
    except NothingSelectedError:
        return None


def _lives(found: Reach | None) -> bool:
    return found is None or found.alive


def _probabilities(paths: Paths, strengths: Strengths) -> dict[str, Sequence[float]]:
    """Log-probabilities, which say as strengths what alphas say by probability."""
    is_any = {path for path, decision in paths.decisions.items() if decision.kind is DecisionKind.ANY}
    return {path: values if path in is_any else log_softmax(values) for path, values in strengths.items()}


def _without(paths: Paths, strengths: Strengths, excluded: Excluded) -> dict[str, list[float]]:
    """Strengths under which a rule takes an excluded item only where it has no other.

    A candidate of a pick of menus is as strong as the items of its menu are.
    """
    found = {path: list(values) for path, values in strengths.items()}
    for path, item in excluded:
        candidates = paths.decisions[path].candidates
        menu = candidates[item] if candidates else None
        if menu is not None:
            found[menu] = [value - PENALTY for value in found[menu]]
        else:
            found[path][item] -= PENALTY
    return found
