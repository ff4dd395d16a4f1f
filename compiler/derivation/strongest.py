"""From alphas to decisions: which items, inputs and sizes a discrete architecture takes.

How strong an item is has two published forms: its raw alpha (the released H-DAS program) or its softmax probability
(DARTS), which the share of items that cannot be derived lowers. They choose different inputs at many nodes.

A pick of no fixed number, with alphas of its own, takes the items whose weight is above 1/2. Menus that are taken by
their strength have no such mark: it takes as many as it may. With a threshold (Chu et al., "Fair DARTS", ECCV 2020)
either takes the items whose weight is no less. All stay within the bounds of the pick.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.settings.derivation import By


def strongest(
    decisions: Mapping[str, Decision],
    alphas: Mapping[str, Sequence[float]],
    by: By,
    over: float | None = None,
    counts: Mapping[str, int] | None = None,
) -> Selection:
    """The strongest items; ties go to the first in source order.

    Args:
        decisions: the decisions of a space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        by: how strength is measured between the candidates of a pick.
        over: the least weight of what a pick of no fixed number takes; strengths of menus are logarithms of weights.
        counts: how many items a pick takes, by path, where strength does not say so.
    """
    known = counts or {}
    return {path: _one(decision, decisions, alphas, by, over, known) for path, decision in decisions.items()}


def _one(
    decision: Decision,
    decisions: Mapping[str, Decision],
    alphas: Mapping[str, Sequence[float]],
    by: By,
    over: float | None,
    counts: Mapping[str, int],
) -> tuple[int, ...]:
    if decision.kind is DecisionKind.PICK:
        if decision.candidates:
            strengths = [_strength(decisions[path or ""], alphas[path or ""], by) for path in decision.candidates]
        else:
            strengths = list(alphas.get(decision.path, ()))
        count = counts.get(decision.path)
        return tuple(sorted(_largest(strengths, _count(decision, strengths, over) if count is None else count)))
    usable = [
        value if derivable else -math.inf
        for value, derivable in zip(alphas[decision.path], decision.derivable, strict=True)
    ]
    return tuple(_largest(usable, 1))


def _count(decision: Decision, strengths: Sequence[float], over: float | None) -> int:
    """How many items a pick takes of such strengths."""
    if over is None and decision.independent:
        wanted = sum(strength > 0 for strength in strengths)
    else:
        wanted = sum(strength >= least_strength(decision, over) for strength in strengths)
    return min(max(wanted, decision.least), decision.most)


def least_strength(decision: Decision, over: float | None) -> float:
    """The least strength of an item that a pick takes, where its bounds allow."""
    if over is None:
        return 0.0 if decision.independent else -math.inf
    if decision.independent:
        return math.log(over) - math.log1p(-over) if 0 < over < 1 else math.copysign(math.inf, over - 0.5)
    return math.log(over) if over else -math.inf


def pick_bonus(decision: Decision, menus: Sequence[Sequence[float]], over: float | None = None) -> float:
    """The bonus of each menu that a pick takes in the score, by which the best number of menus scores best.

    A fixed number needs nothing. Where there is no mark, no menu is so weak that taking it would not score better.

    Args:
        decision: a pick of menus.
        menus: the strengths of the items that each menu can derive.
        over: the least weight of what is taken.
    """
    if decision.least == decision.most:
        return 0.0
    mark = least_strength(decision, over)
    return -mark if math.isfinite(mark) else 1.0 - min(strength for menu in menus for strength in menu)


def _strength(decision: Decision, alphas: Sequence[float], by: By) -> float:
    """The strength of the best item that can be derived."""
    values = list(alphas)
    if by is By.PROBABILITY:
        top = max(values)
        powers = [math.exp(value - top) for value in values]
        values = [power / sum(powers) for power in powers]
    return max(value for value, derivable in zip(values, decision.derivable, strict=True) if derivable)


def _largest(values: Sequence[float], count: int) -> list[int]:
    return sorted(range(len(values)), key=lambda index: (-values[index], index))[:count]


def readable(decisions: Mapping[str, Decision], chosen: Selection) -> dict[str, str]:
    """Decisions as a person reads them: item labels by path."""
    return {path: " + ".join(decisions[path].items[i] for i in items) or "nothing" for path, items in chosen.items()}


def equal_strengths(decisions: Mapping[str, Decision]) -> dict[str, list[float]]:
    """Alphas that are all equal, before any search."""
    return {path: [0.0] * len(decision.items) for path, decision in decisions.items()}


def default_decisions(decisions: Mapping[str, Decision]) -> Selection:
    """The first architecture in source order: what the derivation rule gives for alphas that are all equal."""
    return strongest(decisions, equal_strengths(decisions), By.LOGIT)
