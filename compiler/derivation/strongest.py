"""From alphas to decisions: which items, inputs and sizes a discrete architecture takes.

How strong an item is has two published forms: its raw alpha (the released H-DAS program) or its softmax probability
(DARTS), which the share of items that cannot be derived lowers. They choose different inputs at many nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.settings.derivation import By


def strongest(decisions: Mapping[str, Decision], alphas: Mapping[str, Sequence[float]], by: By) -> Selection:
    """The strongest items; ties go to the first in source order.

    Args:
        decisions: the decisions of a space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        by: how strength is measured between the candidates of a pick.
    """
    return {path: _one(decision, decisions, alphas, by) for path, decision in decisions.items()}


def _one(
    decision: Decision, decisions: Mapping[str, Decision], alphas: Mapping[str, Sequence[float]], by: By
) -> tuple[int, ...]:
    if decision.kind is DecisionKind.ANY:
        return tuple(index for index, value in enumerate(alphas.get(decision.path, ())) if value > 0)
    if decision.kind is DecisionKind.PICK:
        if decision.candidates:
            strengths = [_strength(decisions[path or ""], alphas[path or ""], by) for path in decision.candidates]
        else:
            strengths = list(alphas[decision.path])
        return tuple(sorted(_largest(strengths, decision.take)))
    usable = [
        value if derivable else -math.inf
        for value, derivable in zip(alphas[decision.path], decision.derivable, strict=True)
    ]
    return tuple(_largest(usable, 1))


def _strength(decision: Decision, alphas: Sequence[float], by: By) -> float:
    """That of the best item that can be derived."""
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
