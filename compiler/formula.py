"""How many architectures: formulas that elaboration writes down and `count` evaluates exactly (law 7).

A formula is a product of factors. Counting works on polynomials whose monomials are sets of tags, because a tied copy
counts once however often it is mentioned and not at all where nothing mentions it: tags multiply like sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias


@dataclass(frozen=True)
class Decide:
    """One of the items of a decision; None for an item that cannot be derived."""

    decision: str
    items: tuple[Product | None, ...]


@dataclass(frozen=True)
class Choose:
    """``take`` of the candidates, or any number of them (None); unordered."""

    decision: str
    take: int | None
    candidates: tuple[Product, ...]


@dataclass(frozen=True)
class Given:
    """A factor that depends on decisions made elsewhere: one product per joint assignment."""

    decisions: tuple[str, ...]
    cases: tuple[tuple[tuple[int, ...], Product], ...]


@dataclass(frozen=True)
class Mention:
    """A copy that exists here."""

    copy: str


Factor: TypeAlias = "Decide | Choose | Given | Mention"
Product: TypeAlias = "tuple[Factor, ...]"

Tag: TypeAlias = "str | tuple[str, int]"
"""A copy by its path, or a decision with the item it takes."""

Polynomial: TypeAlias = "dict[frozenset[Tag], int]"

ONE: Polynomial = {frozenset(): 1}


def given(decisions: tuple[str, ...], cases: Mapping[tuple[int, ...], Product]) -> Product:
    """The factors of something that was built once per assignment, with what all cases share drawn out."""
    products = list(cases.values())
    if all(case == products[0] for case in products):
        return products[0]
    return (Given(decisions, tuple(cases.items())),)


def count(formula: Product, copies: Mapping[str, Product]) -> int:
    """The number of architectures of a formula whose mentions are looked up in ``copies``."""
    shared = frozenset(_shared(formula))
    for part in copies.values():
        shared |= frozenset(_shared(part))
    polynomial = _product(formula, shared)
    done: set[str] = set()
    while True:
        pending = {tag for monomial in polynomial for tag in monomial if isinstance(tag, str) and tag not in done}
        if not pending:
            return sum(polynomial.values())
        copy = min(pending)
        done.add(copy)
        factor = _product(copies.get(copy, ()), shared)
        expanded: Polynomial = {}
        for monomial, number in polynomial.items():
            part = _times({monomial: number}, factor) if copy in monomial else {monomial: number}
            for key, value in part.items():
                expanded[key] = expanded.get(key, 0) + value
        polynomial = expanded


def _shared(formula: Product) -> set[str]:
    """The decisions on which some factor elsewhere depends."""
    found: set[str] = set()
    for factor in formula:
        match factor:
            case Given(decisions, cases):
                found.update(decisions)
                for _, case in cases:
                    found |= _shared(case)
            case Decide(_, items):
                for item in items:
                    found |= _shared(item or ())
            case Choose(_, _, candidates):
                for candidate in candidates:
                    found |= _shared(candidate)
            case Mention():
                pass
    return found


def _times(left: Polynomial, right: Polynomial) -> Polynomial:
    if right == ONE:
        return left
    if left == ONE:
        return right
    result: Polynomial = {}
    for (a, m), (b, n) in product(left.items(), right.items()):
        union = a | b
        decided = [tag[0] for tag in union if isinstance(tag, tuple)]
        if len(decided) == len(set(decided)):
            result[union] = result.get(union, 0) + m * n
    return result


def _plus(left: Polynomial, right: Polynomial) -> Polynomial:
    result = dict(left)
    for key, value in right.items():
        result[key] = result.get(key, 0) + value
    return result


def _product(formula: Product, shared: frozenset[str]) -> Polynomial:
    result = ONE
    for factor in formula:
        result = _times(result, _factor(factor, shared))
    return result


def _factor(factor: Factor, shared: frozenset[str]) -> Polynomial:
    match factor:
        case Mention(copy):
            return {frozenset([copy]): 1}
        case Decide(decision, items):
            total: Polynomial = {}
            for index, item in enumerate(items):
                if item is None:
                    continue
                here: Polynomial = {frozenset([(decision, index)]): 1} if decision in shared else ONE
                total = _plus(total, _times(here, _product(item, shared)))
            return total
        case Given(decisions, cases):
            total = {}
            for assignment, case in cases:
                tags: frozenset[Tag] = frozenset(zip(decisions, assignment, strict=True))
                total = _plus(total, _times({tags: 1}, _product(case, shared)))
            return total
        case Choose(_, take, candidates):
            parts = [_product(candidate, shared) for candidate in candidates]
            if take is None:
                result = ONE
                for part in parts:
                    result = _times(result, _plus(ONE, part))
                return result
            # Elementary symmetric polynomials, one candidate after the other.
            sums: list[Polynomial] = [ONE, *({} for _ in range(take))]
            for part in parts:
                for size in range(take, 0, -1):
                    sums[size] = _plus(sums[size], _times(sums[size - 1], part))
            return sums[take]


def each_mention(formula: Product, visit: Callable[[str], None]) -> None:
    """Call ``visit`` with every copy that a formula mentions."""
    for factor in formula:
        match factor:
            case Mention(copy):
                visit(copy)
            case Decide(_, items):
                for item in items:
                    each_mention(item or (), visit)
            case Choose(_, _, candidates):
                for candidate in candidates:
                    each_mention(candidate, visit)
            case Given(_, cases):
                for _, case in cases:
                    each_mention(case, visit)
