"""What a requirement wants of each quantity: less of it or more, and how much of it there may be for sure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from compiler.elaborate import Requirement
from hdas_dsl.tree import ast

from .evaluate import Asked, asked, quantities, value


@dataclass(frozen=True)
class Column:
    """A quantity in the sense in which less is better, and how much of that there may be, if one number says so.

    Of what is mentioned ``once``, the limit is all that matters, where there is one.
    """

    total: Asked
    sign: int
    limit: float = math.inf
    once: bool = False


def columns(requirements: Sequence[Requirement]) -> list[Column]:
    """The quantities of requirements, in each sense in which they matter, with the limits that hold for sure."""
    limits: dict[tuple[Asked, int], float] = {}
    mentions: Counter[Asked] = Counter()
    for requirement in requirements:
        mentions.update(quantities(requirement))
        for total, sign in _senses(requirement.condition, requirement, 1):
            limits.setdefault((total, sign), math.inf)
        for total, sign, limit in _limits(requirement.condition, requirement):
            limits[total, sign] = min(limits.get((total, sign), math.inf), limit)
    return [Column(total, sign, limit, mentions[total] == 1) for (total, sign), limit in limits.items()]


def _senses(node: ast.Node, requirement: Requirement, sign: int) -> Iterator[tuple[Asked, int]]:
    """Which quantities a condition holds the sooner for, the smaller (1) or the larger (-1) they are."""
    total = asked(node, requirement)
    if total is not None:
        yield total, sign
        return
    match node:
        case ast.Unary(operand=operand):
            yield from _senses(operand, requirement, -sign)
        case ast.Binary(op="<" | "<=" | "-", left=left, right=right):
            yield from _senses(left, requirement, sign)
            yield from _senses(right, requirement, -sign)
        case ast.Binary(op=">" | ">=", left=left, right=right):
            yield from _senses(left, requirement, -sign)
            yield from _senses(right, requirement, sign)
        case ast.Binary(op="+" | "and" | "or", left=left, right=right):
            yield from _senses(left, requirement, sign)
            yield from _senses(right, requirement, sign)
        case ast.Binary(op="*" | "/", left=left, right=right) if (number := _number(right, requirement)) is not None:
            yield from _senses(left, requirement, sign if number >= 0 else -sign)
        case ast.Binary(op="*", left=left, right=right) if (number := _number(left, requirement)) is not None:
            yield from _senses(right, requirement, sign if number >= 0 else -sign)
        case _:
            for child in node.walk():
                inner = asked(child, requirement)
                if inner is not None:
                    yield inner, 1
                    yield inner, -1


def _number(node: ast.Node, requirement: Requirement) -> float | None:
    """The value of a part that speaks of no quantity."""
    return value(node, requirement, lambda _: None)


def _limits(node: ast.Node, requirement: Requirement) -> Iterator[tuple[Asked, int, float]]:
    """Conditions of the form `quantity <= number` that must hold."""
    match node:
        case ast.Binary(op="and", left=left, right=right):
            yield from _limits(left, requirement)
            yield from _limits(right, requirement)
        case ast.Binary(op="<" | "<=" | ">" | ">=" | "==" as op, left=left, right=right):
            for total, number, flipped in ((left, right, False), (right, left, True)):
                found = asked(total, requirement)
                limit = _number(number, requirement)
                if found is not None and limit is not None:
                    if op == "==" or op.startswith(">" if flipped else "<"):
                        yield found, 1, float(limit)
                    if op == "==" or op.startswith("<" if flipped else ">"):
                        yield found, -1, -float(limit)
