"""Lagrangian relaxation: good decisions under limits, and an upper bound of the score of all that keep them.

Everett, "Generalized Lagrange multiplier method for solving problems of optimum allocation of resources" (1963).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from compiler.analysis.costs.elimination import maximum, minimum
from compiler.analysis.costs.prices import Amount
from compiler.ir.decision import Selection

from .problem import Problem

STEPS = 60
"""How many multipliers of each limit are tried."""


def by_multipliers(problem: Problem) -> Iterator[tuple[Selection | None, float]]:
    """For each limit, decisions that are optimal under some multiplier of it, where they meet all requirements,
    and the Lagrangian bound of that multiplier."""
    for k, column in enumerate(problem.columns):
        if math.isinf(column.limit):
            continue
        low, high = 0.0, None
        multiplier = 1.0 / max(abs(column.limit), 1.0)
        for _ in range(STEPS):
            chosen, bound = _priced(problem, k, multiplier)
            fits = chosen is not None and _cost(problem, k, chosen) <= column.limit
            yield (chosen if chosen is not None and problem.wanted.met(chosen) else None), bound
            if fits:
                high = multiplier
            else:
                low = multiplier
            multiplier = 2 * multiplier if high is None else (low + high) / 2
        cheapest = minimum(problem.variables, problem.cost_factors[k], problem.constants[k])
        if cheapest.states is not None:
            chosen = problem.variables.decisions(cheapest.states)
            yield (chosen if problem.wanted.met(chosen) else None), math.inf


def _cost(problem: Problem, k: int, chosen: Selection) -> Amount:
    formula, column = problem.formulas[k], problem.columns[k]
    terms = formula.terms if column.sign > 0 else formula.least
    return column.sign * sum(v for m, v in terms.items() if all(item in chosen[path] for path, item in m))


def _priced(problem: Problem, k: int, multiplier: float) -> tuple[Selection | None, float]:
    """The decisions that maximise the score less a multiple of the excess of a cost over its limit, where they are
    found, and that maximum: an upper bound of the score of all decisions that keep the limit."""
    column, formula = problem.columns[k], problem.formulas[k]
    # For an upper bound of the score, the cost must be a lower bound.
    least = formula.least if column.sign > 0 else formula.terms
    factors, constant = problem.variables.factors((m, -multiplier * column.sign * v) for m, v in least.items())
    found = maximum(
        problem.variables,
        [*problem.score_factors, *factors],
        problem.score_constant + constant + multiplier * column.limit,
    )
    chosen = None if found.states is None else problem.variables.decisions(found.states)
    return chosen, float(found.value)
