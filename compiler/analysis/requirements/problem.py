"""The problem of constrained derivation: scores to maximise and costs with limits, as tables over variables."""

from __future__ import annotations

import math
from collections.abc import Mapping

from compiler.analysis.costs.elimination import Factor, Variables, range_of
from compiler.analysis.costs.prices import Amount
from compiler.ir.existence import Monomial
from compiler.util.errors import UsageError

from .evaluate import Requirements, as_text
from .limits import Column, columns


class UnsatisfiableError(UsageError):
    """No architecture meets the requirements, or none was found that does."""


class Problem:
    """A score and the costs that requirements limit, as functions of the decisions of a space.

    Costs are in the sense of their column: less is better. Limits that every architecture keeps are left out.

    Args:
        wanted: the requirements of the space.
        scores: the coefficients of the score.

    Raises:
        UndefinedQuantityError: a quantity has no value.
        ExistenceTooComplexError: one cannot be written down.
    """

    def __init__(self, wanted: Requirements, scores: Mapping[Monomial, float]) -> None:
        self.wanted = wanted
        self.variables = Variables(wanted.space.decisions)
        self.columns = [column for column in columns(wanted.requirements) if not self.is_idle(column)]
        self.formulas = [wanted.formula(column.total) for column in self.columns]
        self.exact = all(formula.exact for formula in self.formulas)
        self.score_factors, self.score_constant = self.variables.factors(scores.items())
        self.cost_factors: list[list[Factor]] = []
        self.constants: list[Amount] = []
        for column, formula in zip(self.columns, self.formulas, strict=True):
            # An upper bound of a cost is safe under an upper limit, a lower bound under a lower one.
            terms = formula.terms if column.sign > 0 else formula.least
            factors, constant = self.variables.factors((m, column.sign * v) for m, v in terms.items())
            self.cost_factors.append(factors)
            self.constants.append(constant)

    def is_idle(self, column: Column) -> bool:
        """Whether every architecture keeps within a limit."""
        if not column.once or math.isinf(column.limit):
            return False
        span = range_of(self.wanted.formula(column.total), self.variables)
        return (span.high if column.sign > 0 else -span.low) <= column.limit

    def refuse_impossible(self) -> None:
        """Refuse a limit that no architecture keeps, by itself.

        Raises:
            UnsatisfiableError: with the best value of the quantity.
        """
        for column, formula in zip(self.columns, self.formulas, strict=True):
            span = range_of(formula, self.variables)
            low = span.low if column.sign > 0 else -span.high
            if low > column.limit:
                word, side = ("most", "least") if column.sign > 0 else ("least", "most")
                exact = span.low_exact if column.sign > 0 else span.high_exact
                reached = "" if exact else "a bound: "
                limit, least = as_text(column.sign * _tidy(column.limit)), as_text(column.sign * low)
                raise UnsatisfiableError(
                    f"no architecture of '{self.wanted.space.name}' has `{column.total}` at {word} {limit}: "
                    f"{reached}at {side} it is {least}"
                )


def _tidy(limit: float) -> Amount:
    return int(limit) if float(limit).is_integer() else limit
