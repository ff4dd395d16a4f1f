"""Derivation rules: from alphas to the leading architecture of a space.

`strongest` decides each choice by itself. `best_path` is for texts with `prune`, where a decision exists only along
what the output reaches: of all ways to decide in such a text it takes that of the largest product of probabilities of
the decisions that exist (Liu et al., "Auto-DeepLab", CVPR 2019, section 4.3). It is exact: the ways are those that
counting finds, the requirements that are counted with among them, and the best is found on their circuit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import compress
from random import Random

from compiler.analysis.counting.count import pruned_texts
from compiler.analysis.counting.errors import UncountableError
from compiler.elaborate import Elaborated
from compiler.ir.combinatorics.circuit import best_way
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.settings.derivation import BestPath, By, Derivation
from compiler.util.errors import UsageError

from .strongest import pick_bonus, strongest

Alphas = Mapping[str, Sequence[float]]

SCALE = 2**64
"""Log-probabilities are added up as whole multiples of 1 / SCALE: exactly, whatever the order."""


def decided(space: Elaborated, alphas: Alphas, rule: Derivation) -> Selection:
    """The decisions of a derivation rule.

    Args:
        space: the space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        rule: the rule, with how it measures strength.

    Raises:
        UncountableError: the rule is `best_path`, and a text with `prune` has a structure that is not counted.
    """
    if isinstance(rule, BestPath):
        return best_path(space, alphas, rule.by)
    return strongest(space.decisions, alphas, rule.by, rule.threshold)


def check_decidable(space: Elaborated, rule: Derivation) -> None:
    """Check before a search starts that its rule can decide the space.

    Raises:
        UsageError: the rule is `best_path`, and a text with `prune` has a structure that is not counted.
    """
    for reason in space.once(pruned_texts).values() if isinstance(rule, BestPath) else ():
        if isinstance(reason, UncountableError):
            raise UsageError(f"`derive = best_path` does not decide '{space.name}': {reason.message}")


def best_path(space: Elaborated, alphas: Alphas, by: By) -> Selection:
    """The strongest items, and in texts with `prune` the decisions of the most probable way to reach the output.

    Of equally probable ways that which takes, from the output back, the first items in source order. Where there is no
    way, the strongest items stay.

    Raises:
        UncountableError: a text with `prune` has a structure that is not counted.
    """
    chosen = strongest(space.decisions, alphas, by)
    for path, circuit in space.once(pruned_texts).items():
        if isinstance(circuit, UncountableError):
            raise circuit
        found = best_way(circuit, _worth(space, path, alphas, by, chosen), Random(0))
        chosen |= found or {}
    return chosen


def _worth(
    space: Elaborated, copy: str, alphas: Alphas, by: By, chosen: Selection
) -> Callable[[str, int | None], int | None]:
    """The worth of an item: its log-probability, then, as the lower digits of the same number, its place in the menu.

    A decision exists by those nearer to the output alone, so that its digits are lower than theirs. Other texts decide
    as they have ``chosen``.
    """
    places: dict[str, int] = {}
    digits = 0
    for path, decision in space.decisions.items():
        if decision.copy == copy:
            places[path] = digits
            digits += 2 * len(decision.items) + 1
    scores = {path: _log_probabilities(space.decisions, path, alphas, by) for path in places}

    def worth(path: str, item: int | None) -> int | None:
        if path not in places:
            return 0 if item is None or item in chosen[path] else None
        exists, items = scores[path]
        score = exists if item is None else items[item]
        if not math.isfinite(score):
            return None
        return (round(score * SCALE) << digits) + (_precedence(space.decisions[path], item) << places[path])

    return worth


def _precedence(decision: Decision, item: int | None) -> int:
    """What makes the sum over the items of a decision the larger, the fewer they are, and then the earlier."""
    size = len(decision.items)
    return 0 if item is None else (1 << size - 1 - item) - (1 << size)


def _log_probabilities(
    decisions: Mapping[str, Decision], path: str, alphas: Alphas, by: By
) -> tuple[float, list[float]]:
    """The log-probabilities of a decision and of its items; they add up to that of the items it takes.

    A pick between menus counts in the probabilities of its menus.
    """
    decision = decisions[path]
    if decision.candidates:
        menus = [menu or "" for menu in decision.candidates]
        strengths = [_log_probabilities(decisions, menu, alphas, by)[1] for menu in menus]
        usable = [list(compress(found, decisions[m].derivable)) for m, found in zip(menus, strengths, strict=True)]
        return 0.0, [pick_bonus(decision, usable)] * len(decision.items)
    values = [float(value) for value in alphas[decision.path]]
    if decision.independent:
        return -sum(_log_sum_exp([0.0, value]) for value in values), values
    if by is By.PROBABILITY or decision.kind is not DecisionKind.OPERATION:
        total = _log_sum_exp(values)
        values = [value - total for value in values]
    return 0.0, values


def _log_sum_exp(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(sum(math.exp(value - top) for value in values)) if math.isfinite(top) else top
