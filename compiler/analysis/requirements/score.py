"""The score of decisions: the sum of their log-probabilities, as a polynomial in their items like a cost.

A decision that does not exist counts as well, at its strongest item: so the derivation rule (`derivation.strongest`)
has the highest score of all. The candidates of a pick between menus count where they are picked, with the strength that
the rule measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress

import numpy as np

from compiler.derivation.strongest import least_strength, pick_bonus
from compiler.ir.decision import Decision, Selection
from compiler.ir.existence import Monomial, holds
from compiler.searcher.settings.derivation import By


def scores_of(
    decisions: Mapping[str, Decision], alphas: Mapping[str, Sequence[float]], by: By, over: float | None = None
) -> dict[Monomial, float]:
    """The coefficient of each monomial.

    Args:
        decisions: of a space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        by: how strength is measured between the candidates of a pick.
        over: the least weight of what a pick of no fixed number takes.
    """
    found: dict[Monomial, float] = {}
    candidates = {path for decision in decisions.values() for path in decision.candidates}
    for path, decision in decisions.items():
        if not decision.items:  # `pick any of` nothing
            continue
        if decision.independent:
            mark = least_strength(decision, over)
            for item, alpha in enumerate(value - mark if np.isfinite(mark) else value for value in alphas[path]):
                # log sigmoid(a) where it is taken, log sigmoid(-a) elsewhere: their difference is a.
                found[frozenset()] = found.get(frozenset(), 0.0) - float(np.logaddexp(0, alpha))
                found[frozenset([(path, item)])] = alpha
        elif decision.candidates:
            names = [candidate or "" for candidate in decision.candidates]
            strengths = [list(alphas[name]) if by is By.LOGIT else log_softmax(alphas[name]) for name in names]
            usable = [
                list(compress(menu, decisions[name].derivable)) for name, menu in zip(names, strengths, strict=True)
            ]
            more = pick_bonus(decision, usable, over)
            for index, (name, menu) in enumerate(zip(names, strengths, strict=True)):
                for item, strength in enumerate(menu):
                    found[frozenset([(path, index), (name, item)])] = strength + more
        elif path not in candidates:
            for item, strength in enumerate(log_softmax(alphas[path])):
                found[frozenset([(path, item)])] = strength
    return found


def log_softmax(values: Sequence[float]) -> list[float]:
    """The logarithm of the softmax, in double precision."""
    total = float(np.logaddexp.reduce(np.asarray(values, dtype=float)))
    return [value - total for value in values]


def score_of(scores: Mapping[Monomial, float], chosen: Selection) -> float:
    """The score of decisions: a log-probability."""
    return sum(score for items, score in scores.items() if holds(items, chosen))
