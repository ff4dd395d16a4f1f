"""Conditions in three-valued logic: true, false, or None where a quantity is not known.

A condition is evaluated under ``values``, which give the value of each `Total`, or None where it has none. Depths,
lengths and the loss are quantities of a supernet, not of an architecture: in a condition they are not known. Neither is
an arithmetic expression without a value, such as a division by zero.

Kleene, "Introduction to Metamathematics" (1952), section 64, for `and` and `or`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias, assert_never

from .numbers import BINARY
from .quantities import (
    AlphaMean,
    And,
    Arithmetic,
    Comparison,
    Condition,
    Constant,
    Depth,
    Indicator,
    Length,
    Logarithm,
    Loss,
    Number,
    Or,
    Quantity,
    Relation,
    Total,
    Unknown,
    parts,
    parts_of,
)

Values: TypeAlias = Callable[[Total], Number | None]
"""The value of each total; None where it is not known."""

NEGATED = {
    Relation.EQUAL: Relation.UNEQUAL,
    Relation.UNEQUAL: Relation.EQUAL,
    Relation.LESS: Relation.AT_LEAST,
    Relation.AT_MOST: Relation.MORE,
    Relation.MORE: Relation.AT_MOST,
    Relation.AT_LEAST: Relation.LESS,
}

MIRRORED = {
    Relation.EQUAL: Relation.EQUAL,
    Relation.UNEQUAL: Relation.UNEQUAL,
    Relation.LESS: Relation.MORE,
    Relation.AT_MOST: Relation.AT_LEAST,
    Relation.MORE: Relation.LESS,
    Relation.AT_LEAST: Relation.AT_MOST,
}


def negated(condition: Condition) -> Condition:
    """The condition that holds where this one does not, by De Morgan's laws."""
    match condition:
        case Comparison(relation=relation, left=a, right=b):
            return Comparison(NEGATED[relation], a, b)
        case And(left=left, right=right):
            return Or(negated(left), negated(right))
        case Or(left=left, right=right):
            return And(negated(left), negated(right))


# ---------------------------------------------------------------- values


def evaluate(condition: Condition, values: Values) -> bool | None:
    """Whether a condition holds; None where that is not known. Raises what ``values`` raises."""
    match condition:
        case Comparison(relation=relation, left=left, right=right):
            a, b = value(left, values), value(right, values)
            return None if a is None or b is None else bool(BINARY[relation.value](a, b))
        case And(left=first, right=second):
            # Both sides, always: what cannot be known is an error of some `values`, wherever it stands.
            sides = evaluate(first, values), evaluate(second, values)
            return False if False in sides else None if None in sides else True
        case Or(left=first, right=second):
            sides = evaluate(first, values), evaluate(second, values)
            return True if True in sides else None if None in sides else False


def value(quantity: Quantity, values: Values) -> Number | None:
    """The value of a quantity; None where it is not known, or not finite. Raises what ``values`` raises."""
    match quantity:
        case Constant(value=number):
            return number
        case Total():
            return values(quantity)
        case Arithmetic(op=op, left=left, right=right):
            return _computed(op, value(left, values), value(right, values))
        case Logarithm(operand=operand):
            inner = value(operand, values)
            return math.log(inner) if inner is not None and inner > 0 else None
        case Indicator(condition=condition):
            return evaluate(condition, values)
        case Depth() | Length() | AlphaMean() | Loss() | Unknown():
            return None
    assert_never(quantity)


def _computed(op: str, left: Number | None, right: Number | None) -> Number | None:
    if left is None or right is None:
        return None
    try:
        found: Number = BINARY[op](left, right)
    except ArithmeticError:
        return None
    return found if isinstance(found, int) or math.isfinite(found) else None


def shortfall(condition: Condition, values: Values) -> float | None:
    """How far a condition is from being met, relative to the right side of its comparisons.

    Returns:
        0 exactly where it is met; None where that is not known.
    """
    holds = evaluate(condition, values)
    if holds is None or holds:
        return None if holds is None else 0.0
    match condition:
        case Comparison(left=left, right=right):
            a, b = value(left, values), value(right, values)
            assert a is not None
            assert b is not None
            return _relative(a, b)
        case And(left=first, right=second):
            return sum(filter(None, (shortfall(first, values), shortfall(second, values))))
        case Or(left=first, right=second):
            return min(filter(None, (shortfall(first, values), shortfall(second, values))))


def _relative(found: Number, wanted: Number) -> float:
    """The distance of two numbers, never 0: a strict comparison of equal numbers is not met either."""
    try:
        return max(abs(found - wanted), 1e-9) / max(abs(wanted), 1)
    except OverflowError:
        return math.inf


# ---------------------------------------------------------------- parts


def totals(condition: Condition) -> Iterator[Total]:
    """Every mention of a total, from left to right."""
    return (part for part in parts_of(condition) if isinstance(part, Total))


def unknowns(condition: Condition) -> Iterator[Unknown]:
    """The quantities without a value for any architecture, from left to right."""
    return (part for part in parts_of(condition) if isinstance(part, Unknown))


# ---------------------------------------------------------------- senses and bounds


def senses(condition: Condition) -> Iterator[tuple[Total, int]]:
    """In which sense a change of each total can help to meet a condition: 1 where less of it can, -1 where more can.

    A total may come in both senses, and more than once in either.
    """
    match condition:
        case Comparison(relation=Relation.LESS | Relation.AT_MOST, left=left, right=right):
            yield from _senses(left, 1)
            yield from _senses(right, -1)
        case Comparison(relation=Relation.MORE | Relation.AT_LEAST, left=left, right=right):
            yield from _senses(left, -1)
            yield from _senses(right, 1)
        case Comparison(left=left, right=right):
            yield from _both(left)
            yield from _both(right)
        case And(left=first, right=second) | Or(left=first, right=second):
            yield from senses(first)
            yield from senses(second)


def _senses(quantity: Quantity, sense: int) -> Iterator[tuple[Total, int]]:
    """In which sense a change of each total makes a quantity smaller (sense 1) or larger (-1)."""
    match quantity:
        case Total():
            yield quantity, sense
        case Arithmetic(op="+", left=left, right=right):
            yield from _senses(left, sense)
            yield from _senses(right, sense)
        case Arithmetic(op="-", left=left, right=right):
            yield from _senses(left, sense)
            yield from _senses(right, -sense)
        case Arithmetic(op="*" | "/", left=left, right=Constant(value=factor)):
            yield from _senses(left, sense if factor >= 0 else -sense)
        case Arithmetic(op="*", left=Constant(value=factor), right=right):
            yield from _senses(right, sense if factor >= 0 else -sense)
        case Indicator(condition=condition):
            yield from senses(negated(condition) if sense > 0 else condition)
        case _:
            yield from _both(quantity)


def _both(quantity: Quantity) -> Iterator[tuple[Total, int]]:
    for part in parts(quantity):
        if isinstance(part, Total):
            yield part, 1
            yield part, -1


@dataclass(frozen=True)
class UpperBound:
    """``sense * total <= limit`` wherever a condition is met; with sense -1 the total is at least ``-limit``."""

    total: Total
    sense: int
    limit: float


def upper_bounds(condition: Condition) -> Iterator[UpperBound]:
    """The bounds that a condition puts on single totals: where it compares them with numbers, and must hold."""
    match condition:
        case And(left=first, right=second):
            yield from upper_bounds(first)
            yield from upper_bounds(second)
        case Comparison(relation=relation, left=Total() as total, right=Constant(value=limit)):
            yield from _bounds(total, relation, limit)
        case Comparison(relation=relation, left=Constant(value=limit), right=Total() as total):
            yield from _bounds(total, MIRRORED[relation], limit)


def _bounds(total: Total, relation: Relation, limit: Number) -> Iterator[UpperBound]:
    if relation in (Relation.LESS, Relation.AT_MOST, Relation.EQUAL):
        yield UpperBound(total, 1, float(limit))
    if relation in (Relation.MORE, Relation.AT_LEAST, Relation.EQUAL):
        yield UpperBound(total, -1, -float(limit))
