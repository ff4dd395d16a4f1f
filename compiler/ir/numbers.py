"""Arithmetic of the language on plain numbers; undecided ones are lifted over it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any


def _contains(item: Any, items: Any) -> bool:
    return item in tuple(items)


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > 1024:
        raise OverflowError
    if base < 0 and not float(exponent).is_integer():
        raise ArithmeticError
    return base**exponent


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": _power,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": _contains,
}
"""The infix words that need both sides; `and` and `or` need only one and live in the evaluator."""

COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def tidy(value: Any) -> Any:
    """A whole float as an int, so that `x.c / 4` can be a width; numbers have an end."""
    if isinstance(value, int | float) and not abs(value) < 2**63:
        raise OverflowError
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def reason(error: Exception) -> str:
    """Why an operation has no value."""
    match error:
        case ZeroDivisionError():
            return "division by zero"
        case OverflowError():
            return "the number is too large"
        case TypeError():
            return "it needs numbers"
    return "it is not a real number"


def round_to(step: float, value: float) -> int:
    """The multiple of ``step`` nearest to the value, at least ``step`` and never below 90% of the value."""
    nearest = max(step, int(value + step / 2) // step * step)
    return int(nearest + step if nearest < 0.9 * value else nearest)


COMPUTE: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "round_to": round_to,
    "ceil": math.ceil,
    "floor": math.floor,
    "log": math.log,
    "exp": math.exp,
    "sqrt": math.sqrt,
    "abs": abs,
}
"""The functions of numbers in `hdas_dsl.tree.words`."""
