"""The names that the language defines by itself. A definition of the same name wins over all but the constants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

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

BUILTINS = (*NUMERIC, *TENSOR_FUNCTIONS, "grammar")
"""All functions of the language; ``grammar(M)`` is a menu whose tree of items is drawn."""

CONSTANTS = {"true": True, "false": False}

WORDS = (*CONSTANTS, "relaxed", "open")
"""Values of the language itself."""

DIMENSIONS = ("c", "d", "h", "w", "n", "rest", "size")
"""The fields of a tensor: ``x.c``."""


class QuantityArgument(Enum):
    """The kind of argument that a quantity takes; the value is an example."""

    NONE = ""
    OPERATION = "(Op)"
    TABLE = '("table.csv")'
    FAMILY = "(n)"
    QUANTITY = "(q)"
    COPY = "(Cell)"


@dataclass(frozen=True)
class QuantityWord:
    """The syntax of a quantity; a ``structural`` one counts pieces of the text that mentions it."""

    argument: QuantityArgument = QuantityArgument.NONE
    structural: bool = False


TOTALS: Mapping[str, QuantityWord] = {
    "params": QuantityWord(),
    "macs": QuantityWord(),
    "memory": QuantityWord(),
    "latency": QuantityWord(QuantityArgument.TABLE),
    "edges": QuantityWord(structural=True),
    "count": QuantityWord(QuantityArgument.OPERATION, structural=True),
}
"""Quantities that add up over a network; `compiler.analysis.costs.prices` defines them."""

FAMILY_QUANTITIES: Mapping[str, QuantityWord] = {
    "depth": QuantityWord(QuantityArgument.FAMILY),
    "length": QuantityWord(QuantityArgument.FAMILY),
}
"""Quantities of one family of the text they stand in."""

ALPHA_QUANTITIES: Mapping[str, QuantityWord] = {
    "logsumexp": QuantityWord(QuantityArgument.COPY),
    "certainty": QuantityWord(QuantityArgument.COPY),
    "entropy": QuantityWord(QuantityArgument.COPY),
    "divergence": QuantityWord(QuantityArgument.COPY),
    "squares": QuantityWord(QuantityArgument.COPY),
}
"""Means over the decisions of a network, or of one cell or stage, which regularise a search: ``minimize entropy``."""

SCHEDULES = ("constant", "cosine", "ramp", "decay", "steps", "pieces", "part")
"""Numbers that change over the epochs of a search: ``weight ramp(0, 50)``."""

QUANTITIES: Mapping[str, QuantityWord] = {
    **TOTALS,
    **FAMILY_QUANTITIES,
    **ALPHA_QUANTITIES,
    "loss": QuantityWord(),
    "log": QuantityWord(QuantityArgument.QUANTITY),
}
"""All quantities of preferences and requirements: ``minimize params``, ``require params <= 1M``."""

ELEMENT = re.compile(r"([A-Za-z_][A-Za-z_0-9]*?)(?<![0-9])([0-9]{1,9}(?:_[0-9]{1,9})*)")
"""``n2`` and ``h3_1``: an element of a family by its one name."""


def element_of(name: str) -> tuple[str, tuple[int, ...]] | None:
    """The family and the indices of a name such as ``n2`` or ``h3_1``; None for the name of no element."""
    match = ELEMENT.fullmatch(name)
    return (match[1], tuple(map(int, match[2].split("_")))) if match else None


def element_name(family: str, index: tuple[int, ...]) -> str:
    """The name of an element of a family, ``n2``, ``h3_1``; the inverse of `element_of`."""
    return family + "_".join(map(str, index))
