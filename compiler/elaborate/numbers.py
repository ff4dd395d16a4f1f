"""Arithmetic of the language on plain numbers; undecided ones are lifted over it."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any


def _contains(item: Any, items: Any) -> bool:
    return item in tuple(items)


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": _contains,
}
"""The infix words that need both sides; `and` and `or` need only one and live in the evaluator."""


def tidy(value: Any) -> Any:
    """A whole float as an int, so that `x.c / 4` can be a width."""
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value


def round_to(step: float, value: float) -> int:
    """The multiple of ``step`` nearest to the value, at least ``step`` and never below 90% of the value."""
    nearest = max(step, int(value + step / 2) // step * step)
    return int(nearest + step if nearest < 0.9 * value else nearest)


NUMERIC: dict[str, tuple[int | None, Callable[..., Any]]] = {
    "min": (None, min),
    "max": (None, max),
    "round_to": (2, round_to),
    "ceil": (1, math.ceil),
    "floor": (1, math.floor),
    "log": (1, math.log),
    "exp": (1, math.exp),
    "sqrt": (1, math.sqrt),
    "abs": (1, abs),
}
"""Functions of numbers, with the count of their arguments (None: any)."""

CONSTANTS: dict[str, bool] = {"true": True, "false": False}

TENSOR_FUNCTIONS = ("sum", "concat", "prev")
"""Functions of bundles, which the evaluator knows."""

BUILTINS = (*NUMERIC, *TENSOR_FUNCTIONS)
"""Every name that the language defines by itself; a definition of the same name wins over it."""

WORDS = (*BUILTINS, *CONSTANTS, "relaxed", "open", "fresh", "logit", "probability")
