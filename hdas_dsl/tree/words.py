"""The names that the language defines by itself. A definition of the same name wins over all but the constants."""

from __future__ import annotations

import re

NUMERIC: dict[str, int | None] = {
    "min": None,
    "max": None,
    "round_to": 2,
    "ceil": 1,
    "floor": 1,
    "log": 1,
    "exp": 1,
    "sqrt": 1,
    "abs": 1,
}
"""Functions of numbers, with the count of their arguments (None: one or more)."""

TENSOR_FUNCTIONS = ("sum", "concat", "prev")
"""Functions of bundles."""

BUILTINS = (*NUMERIC, *TENSOR_FUNCTIONS)

CONSTANTS = {"true": True, "false": False}

WORDS = (*CONSTANTS, "relaxed", "open")
"""Values of the language itself."""

DIMENSIONS = ("c", "h", "w", "n", "rest", "size")
"""What a tensor has: ``x.c``."""

TOTALS = ("params", "macs", "memory", "latency", "edges", "count")
"""Quantities of a whole network."""

FAMILY_QUANTITIES = ("depth", "length")
"""Quantities of one family of the text they stand in."""

QUANTITIES = (*TOTALS, *FAMILY_QUANTITIES, "loss", "log")
"""What may be preferred: ``minimize params``."""

ELEMENT = re.compile(r"([A-Za-z_][A-Za-z_0-9]*?)(?<![0-9])([0-9]{1,9}(?:_[0-9]{1,9})*)")
"""``n2`` and ``h3_1``: an element of a family by its one name."""


def element_of(name: str) -> tuple[str, tuple[int, ...]] | None:
    """The family and the indices of a name such as ``n2`` or ``h3_1``."""
    match = ELEMENT.fullmatch(name)
    return (match[1], tuple(map(int, match[2].split("_")))) if match else None


def element_name(family: str, index: tuple[int, ...]) -> str:
    return family + "_".join(map(str, index))
