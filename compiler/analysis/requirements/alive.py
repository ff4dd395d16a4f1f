"""The best architecture whose output depends on its input.

An architecture lives if its output depends on its input, and is dead otherwise. A derivation rule decides each choice
by itself and may cut every line from the input to the output. Every architecture that lives differs from a dead one in
a decision that blocks the input there, so a search that excludes the items taken there and demands those that are not
(where that takes more items), one at a time and the best-scoring result first, finds the best living one first.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import replace
from itertools import count

from compiler.backend.passes.flatten import flatten
from compiler.derivation.reach import Reach, reach
from compiler.derivation.selected_steps import NothingSelectedError, Paths
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .constrained import Answer
from .demands import Demands, Strengths, are_met, changes, log_probabilities, with_demands
from .score import score_of, scores_of

__all__ = ["Strengths", "alive", "lives", "selects_life", "with_zeros"]

LIMIT = 2000
"""The most architectures that are tried."""


def alive(
    space: Elaborated,
    strengths: Strengths,
    by: By,
    select: Callable[[Strengths, By], Answer],
    over: float | None = None,
) -> Answer:
    """The answer of a derivation rule if its architecture lives, else the best-scoring living architecture.

    Where none of the tried architectures lives, the answer is dead (`Answer.is_dead`).

    Args:
        space: the space.
        strengths: the strengths of the items of each decision that has alphas, (items).
        by: how strength is measured between the candidates of a pick.
        select: the rule, which may refuse (`UsageError`) strengths under which nothing is left.
        over: the least weight of an item that a pick of no fixed number takes.
    """
    paths = space.once(with_zeros)
    first = select(strengths, by)
    if _lives(_reach(paths, first.chosen)):
        return first
    found = _best_alive(paths, strengths, by, select, over)
    if found is None:
        return replace(first, is_dead=True)
    return replace(found, instead_of=first.chosen)


def lives(network: Elaborated) -> bool:
    """Whether the output of an architecture, a network without choices, depends on its input."""
    return _lives(_reach(with_zeros(network), {}))


def selects_life(space: Elaborated, chosen: Selection) -> bool:
    """Whether the output of the architecture that decisions select depends on its input."""
    return _lives(_reach(space.once(with_zeros), chosen))


def with_zeros(space: Elaborated) -> Paths:
    """The architectures of a space, with their zeros."""
    return Paths(flatten(space.block.graph), space.decisions, keep_zeros=True)


def _best_alive(
    paths: Paths, strengths: Strengths, by: By, select: Callable[[Strengths, By], Answer], over: float | None
) -> Answer | None:
    if by is By.PROBABILITY:
        strengths, by = log_probabilities(paths.decisions, strengths), By.LOGIT
    scores = scores_of(paths.decisions, strengths, by, over)
    order = count()
    waiting: list[tuple[float, int, Demands, Answer]] = []
    seen: set[Demands] = set()

    def wait(demands: Demands) -> None:
        if demands in seen or len(seen) >= LIMIT:
            return
        seen.add(demands)
        try:
            answer = select(with_demands(paths.decisions, strengths, demands), by)
        except UsageError:
            return
        if are_met(demands, answer.chosen):
            heapq.heappush(waiting, (-score_of(scores, answer.chosen), next(order), demands, answer))

    wait(frozenset())
    while waiting:
        _, _, demands, answer = heapq.heappop(waiting)
        found = _reach(paths, answer.chosen)
        if _lives(found):
            return answer
        # What takes nothing is read nowhere, and may be what the input has to get through.
        for path in (
            dict.fromkeys((*found.dead, *(p for p, taken in answer.chosen.items() if not taken))) if found else ()
        ):
            for change in changes(paths.decisions[path], path, answer.chosen[path]):
                wait(demands | {change})
    return None


def _reach(paths: Paths, chosen: Selection) -> Reach | None:
    """How far the input gets; None where decisions leave no network, which is refused elsewhere."""
    try:
        return reach(paths.path(chosen))
    except NothingSelectedError:
        return None


def _lives(found: Reach | None) -> bool:
    return found is None or found.alive
