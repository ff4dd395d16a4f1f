"""The best architecture whose output depends on its input.

A derivation rule decides each choice by itself and may cut every line from the input to the output. Every architecture
that lives differs from a dead one in a decision that the input does not get through, so a search that excludes the
items taken there and demands those that are not (where that takes more items), one at a time and the best-scoring
result first, meets the best that lives before any other.
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
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .constrained import Answer
from .score import log_softmax, score_of, scores_of

Strengths = Mapping[str, Sequence[float]]
Demands = frozenset[tuple[str, int, bool]]
"""Items of decisions that are to be taken, or are not."""

LIMIT = 2000
"""Architectures that are looked at."""
PENALTY = 1e4
"""Taken off the strength of an excluded item, added to that of a demanded one; far above what strengths differ by."""


def alive(
    space: Elaborated,
    strengths: Strengths,
    by: By,
    select: Callable[[Strengths, By], Answer],
    over: float | None = None,
) -> Answer:
    """The answer of a derivation rule if its architecture lives, else the one of the highest score that does.

    Where none of the architectures that are looked at lives, the answer says so (`Answer.is_dead`).

    Args:
        space: the space.
        strengths: of the items of each decision that has alphas, (items).
        by: how strength is measured between the candidates of a pick.
        select: the rule, which may refuse (`UsageError`) strengths under which nothing is left.
        over: the least weight of what a pick of no fixed number takes.
    """
    paths = space.once(_with_zeros)
    first = select(strengths, by)
    if _lives(_reach(paths, first.chosen)):
        return first
    found = _best_alive(paths, strengths, by, select, over)
    if found is None:
        return replace(first, is_dead=True)
    return replace(found, instead_of=first.chosen)


def lives(network: Elaborated) -> bool:
    """Whether the output of an architecture, a network without choices, depends on its input."""
    return _lives(_reach(_with_zeros(network), {}))


def selects_life(space: Elaborated, chosen: Selection) -> bool:
    """Whether the output of the architecture that decisions select depends on its input."""
    return _lives(_reach(space.once(_with_zeros), chosen))


def _with_zeros(space: Elaborated) -> Paths:
    """The architectures of a space, with their zeros."""
    return Paths(flatten(space.block.graph), space.decisions, keep_zeros=True)


def _best_alive(
    paths: Paths, strengths: Strengths, by: By, select: Callable[[Strengths, By], Answer], over: float | None
) -> Answer | None:
    if by is By.PROBABILITY:
        strengths, by = _probabilities(paths, strengths), By.LOGIT
    scores = scores_of(paths.decisions, strengths, by, over)
    order = count()
    waiting: list[tuple[float, int, Demands, Answer]] = []
    seen: set[Demands] = set()

    def wait(demands: Demands) -> None:
        if demands in seen or len(seen) >= LIMIT:
            return
        seen.add(demands)
        try:
            answer = select(_under(paths, strengths, demands), by)
        except UsageError:
            return
        if all((item in answer.chosen[path]) is wanted for path, item, wanted in demands):
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
            decision, taken = paths.decisions[path], answer.chosen[path]
            for item in range(len(decision.items)) if decision.least < decision.most else taken:
                wait(demands | {(path, item, item not in taken)})
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
    apart = {path for path, decision in paths.decisions.items() if decision.independent}
    return {path: values if path in apart else log_softmax(values) for path, values in strengths.items()}


def _under(paths: Paths, strengths: Strengths, demands: Demands) -> dict[str, list[float]]:
    """Strengths under which a rule takes an excluded item only where it has no other, and a demanded one if it can.

    A candidate of a pick of menus is as strong as the items of its menu are.
    """
    found = {path: list(values) for path, values in strengths.items()}
    for path, item, wanted in demands:
        more = PENALTY if wanted else -PENALTY
        candidates = paths.decisions[path].candidates
        menu = candidates[item] if candidates else None
        if menu is not None:
            found[menu] = [value + more for value in found[menu]]
        else:
            found[path][item] += more
    return found
