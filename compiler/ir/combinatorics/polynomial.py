"""Polynomials whose monomials are sets of tags and whose coefficients are circuits: what count formulas evaluate to.

Tags multiply like sets: a tied copy counts once, however often it is mentioned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TypeAlias

from .circuit import ONE, Circuit, both, either

Tag: TypeAlias = "str | tuple[str, int]"
"""A copy by its path, or a decision with the item it takes."""

Polynomial: TypeAlias = "dict[frozenset[Tag], Circuit]"

UNIT: Polynomial = {frozenset(): ONE}


def _name(tag: Tag) -> str:
    """The copy or the decision that a tag is about."""
    return tag if isinstance(tag, str) else tag[0]


def tag_names(part: Polynomial) -> frozenset[str]:
    """The copies and decisions that a polynomial mentions."""
    return frozenset(_name(tag) for monomial in part for tag in monomial)


def replaced(part: Polynomial, name: str, value: Polynomial) -> Polynomial:
    """The polynomial with ``value`` for a copy; a decision is just forgotten, its items add up."""
    terms: list[Polynomial] = []
    for monomial, number in part.items():
        rest = frozenset(tag for tag in monomial if _name(tag) != name)
        terms.append(times({rest: number}, value) if len(rest) < len(monomial) else {rest: number})
    return plus(terms)


def taken(parts: list[Polynomial], least: int, most: int) -> Polynomial:
    """From ``least`` to ``most`` of the candidates: elementary symmetric polynomials, one candidate after the other."""
    if least == 0 and most == len(parts):
        return multiplied([plus([UNIT, part]) for part in parts])
    sums: list[Polynomial] = [UNIT, *({} for _ in range(most))]
    for part in parts:
        for size in range(most, 0, -1):
            sums[size] = plus([sums[size], times(sums[size - 1], part)])
    return sums[most] if least == most else plus(sums[least:])


def multiplied(parts: Iterable[Polynomial]) -> Polynomial:
    """The product of polynomials."""
    result = UNIT
    for part in parts:
        result = times(result, part)
    return result


def times(left: Polynomial, right: Polynomial) -> Polynomial:
    """The product of two polynomials: monomials unite, and those in which a decision takes two items are none."""
    if right is UNIT:
        return left
    if left is UNIT:
        return right
    terms: dict[frozenset[Tag], list[Circuit]] = {}
    for (a, m), (b, n) in product(left.items(), right.items()):
        union = a | b
        decided = [tag[0] for tag in union if isinstance(tag, tuple)]
        if len(decided) == len(set(decided)):
            terms.setdefault(union, []).append(both(m, n))
    return _summed(terms)


def plus(parts: Iterable[Polynomial]) -> Polynomial:
    """The sum of polynomials."""
    terms: dict[frozenset[Tag], list[Circuit]] = {}
    for part in parts:
        for key, value in part.items():
            terms.setdefault(key, []).append(value)
    return _summed(terms)


def _summed(terms: Mapping[frozenset[Tag], list[Circuit]]) -> Polynomial:
    return {key: either(values) for key, values in terms.items()}
