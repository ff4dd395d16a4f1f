"""Count formulas: elaboration writes them, and `ways` turns them into circuits of all architectures (law 7).

A formula is a product of factors. It is evaluated over polynomials whose monomials are sets of tags, because a tied
copy counts once however often it is mentioned and not at all where nothing mentions it: tags multiply like sets. A tag
lives only as long as two factors must still agree on it. Then a copy is replaced by its own polynomial and a decision
by 1, so that monomials stay few. The coefficients are circuits (`.circuit`), which represent the ways to choose and
their number.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count as numbers
from typing import TypeAlias

from .circuit import ONE, Circuit, Literal, either
from .polynomial import UNIT, Polynomial, Tag, multiplied, plus, replaced, tag_names, taken, times


@dataclass(frozen=True)
class Decide:
    """One of the items of a decision; None for an item that cannot be derived."""

    decision: str
    items: tuple[Product | None, ...]


@dataclass(frozen=True)
class Choose:
    """At least ``least`` and at most ``most`` of the candidates; unordered."""

    decision: str
    least: int
    most: int
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


@dataclass(frozen=True)
class Ways:
    """Evaluated already (`compiler.analysis.counting.structural`): the sum of the products, each in these ways."""

    terms: tuple[tuple[Circuit, Product], ...]


Factor: TypeAlias = "Decide | Choose | Given | Mention | Ways"
Product: TypeAlias = "tuple[Factor, ...]"


def given(decisions: tuple[str, ...], cases: Mapping[tuple[int, ...], Product]) -> Product:
    """The factors of something that was built once per assignment; a single product where all cases are equal."""
    products = list(cases.values())
    if all(case == products[0] for case in products):
        return products[0]
    return (Given(decisions, tuple(cases.items())),)


def ways(formula: Product, copies: Mapping[str, Product]) -> Circuit:
    """The architectures of a formula whose mentions are looked up in ``copies``."""
    return either(_Counting(copies).product(formula, frozenset()).values())


def count(formula: Product, copies: Mapping[str, Product]) -> int:
    """The number of architectures of a formula."""
    return ways(formula, copies).number


def each_mention(formula: Product, visit: Callable[[str], None]) -> None:
    """Call ``visit`` with every copy that a formula mentions."""
    for factor in formula:
        if isinstance(factor, Mention):
            visit(factor.copy)
        for part in _parts(factor):
            each_mention(part, visit)


def names_of(formula: Product) -> frozenset[str]:
    """The decisions and copies that a formula names, not looking into copies."""
    counting = _Counting({})
    return frozenset[str]().union(*(counting.names(factor) for factor in formula))


def _parts(factor: Factor) -> Iterator[Product]:
    """The products inside a factor."""
    match factor:
        case Decide(_, items):
            yield from (item for item in items if item is not None)
        case Choose(candidates=candidates):
            yield from candidates
        case Given(_, cases):
            yield from (case for _, case in cases)
        case Ways(terms):
            yield from (term for _, term in terms)


def _own(factor: Factor) -> tuple[str, ...]:
    """The decisions and the copy that a factor itself names."""
    match factor:
        case Decide(decision=decision) | Choose(decision=decision):
            return (decision,)
        case Given(decisions, _):
            return decisions
        case Mention(copy):
            return (copy,)
        case Ways(_):
            return ()


class _Counting:
    """Evaluates formulas. ``shared`` always names the tags that outside factors depend on: they are not eliminated."""

    def __init__(self, copies: Mapping[str, Product]) -> None:
        self.copies = copies
        self._names: dict[int, tuple[Factor, frozenset[str]]] = {}

    def names(self, factor: Factor) -> frozenset[str]:
        """The decisions and copies that a factor names, not looking into copies."""
        known = self._names.get(id(factor))
        if known is None:
            found = frozenset(_own(factor)).union(*(self.names(f) for part in _parts(factor) for f in part))
            # The entry keeps the factor alive, or its id could become another's.
            known = self._names[id(factor)] = factor, found
        return known[1]

    def reach(self, factors: Iterable[Factor], stop: frozenset[str] = frozenset()) -> frozenset[str]:
        """The decisions and copies that factors name, looking into copies except those of ``stop``."""
        found: set[str] = set()
        pending = [name for factor in factors for name in self.names(factor)]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                if name not in stop:
                    pending += (inner for factor in self.copies.get(name, ()) for inner in self.names(factor))
        return frozenset(found)

    def product(self, formula: Product, shared: frozenset[str]) -> Polynomial:
        """All factors hold together."""
        return self.join([(factor,) for factor in _merged(formula)], shared, lambda parts: parts)

    def join(
        self,
        units: list[Product],
        shared: frozenset[str],
        fold: Callable[[list[Polynomial]], list[Polynomial]],
    ) -> Polynomial:
        """Evaluate units one by one, ``fold`` and multiply the results, and eliminate tags that are not shared."""
        if len(units) == 1 and len(units[0]) == 1:
            return multiplied(fold([self.factor(units[0][0], shared)]))
        reached = [self.reach(unit) for unit in units]
        often = Counter(name for names in reached for name in names)
        tied = frozenset(name for name in often if name in self.copies and often[name] > 1)
        if tied:
            # What lies in a tied copy is named there once, however many units mention the copy.
            cuts = [self.reach(unit, tied) for unit in units]
            cuts += [self.reach(self.copies[copy], tied) for copy in tied - shared]
            often = Counter(name for names in cuts for name in names)
        pending = {name for name in often if often[name] > 1 or name in tied} - shared
        kept = shared | pending
        parts = fold([self.product(unit, kept & names) for unit, names in zip(units, reached, strict=True)])
        return multiplied(self.without(pending, parts, shared))

    def without(self, pending: set[str], parts: list[Polynomial], shared: frozenset[str]) -> list[Polynomial]:
        """Factors of the same product, with the pending copies and decisions eliminated.

        A copy or decision can be eliminated once no pending copy contains it; those in the fewest parts come first.
        """
        inner = {name: self.reach(self.copies[name]) for name in pending if name in self.copies}
        bringing = Counter(name for copy, names in inner.items() for name in (names & pending) - {copy})
        live: dict[int, Polynomial] = {}
        holders: dict[str, set[int]] = {name: set() for name in pending}
        queue: list[tuple[int, str]] = []
        indices = numbers()

        def changed(names: Iterable[str]) -> None:
            for name in names:
                if name in pending and not bringing[name]:
                    heappush(queue, (len(holders[name]), name))

        def place(part: Polynomial) -> None:
            index = next(indices)
            live[index] = part
            for name in tag_names(part) & pending:
                holders[name].add(index)

        for part in parts:
            place(part)
        changed(pending)
        while pending:
            size, name = heappop(queue)
            if name not in pending or size != len(holders[name]):
                continue  # an entry from before it changed
            pending.remove(name)
            merged = [(index, live.pop(index)) for index in sorted(holders.pop(name))]
            touched = frozenset().union(*(tag_names(part) for _, part in merged)) & pending
            for other in touched:
                holders[other].difference_update(index for index, _ in merged)
            value = self.product(self.copies[name], (shared | pending) & inner[name]) if name in inner else UNIT
            made = replaced(multiplied(part for _, part in merged), name, value)
            place(made)
            brought = inner.get(name, frozenset()) & pending
            bringing.subtract(brought - {name})
            changed(touched | brought | tag_names(made))
        return list(live.values())

    def factor(self, factor: Factor, shared: frozenset[str]) -> Polynomial:
        match factor:
            case Mention(copy):
                return {frozenset([copy]): ONE} if copy in shared else self.product(self.copies.get(copy, ()), shared)
            case Decide(decision, items):
                cases: list[Polynomial] = []
                # An item may hold what depends on the decision itself, in a copy.
                kept = shared | {decision} & self.reach(f for item in items for f in item or ())
                for index, item in enumerate(items):
                    if item is not None:
                        tags: frozenset[Tag] = frozenset([(decision, index)] if decision in kept else ())
                        here: Polynomial = {tags: Literal(decision, (index,))}
                        cases.append(times(here, self.product(item, kept)))
                total = plus(cases)
                return total if decision in shared or decision not in kept else replaced(total, decision, UNIT)
            case Given(decisions, assigned):
                return plus(
                    times({frozenset(zip(decisions, assignment, strict=True)): ONE}, self.product(case, shared))
                    for assignment, case in assigned
                )
            case Ways(terms):
                return plus(times({frozenset(): number}, self.product(term, shared)) for number, term in terms)
            case Choose(decision, least, most, candidates):
                exists: Polynomial = {frozenset(): Literal(decision, ())}

                def chosen(parts: list[Polynomial]) -> list[Polynomial]:
                    here: list[Polynomial] = [{frozenset(): Literal(decision, (i,))} for i in range(len(parts))]
                    return [exists, taken([times(*pair) for pair in zip(here, parts, strict=True)], least, most)]

                return self.join(list(candidates), shared, chosen)


def _merged(formula: Product) -> Product:
    """The product with each factor that depends on one of its decisions moved below the items of that decision."""
    bound: dict[str, list[Given]] = {}
    for factor in formula:
        if isinstance(factor, Given):
            for name in factor.decisions:
                bound.setdefault(name, []).append(factor)
    below: set[int] = set()
    made: dict[int, Decide] = {}
    for factor in formula if bound else ():
        if isinstance(factor, Decide):
            name = factor.decision
            here = [f for f in bound.pop(name, ()) if id(f) not in below]
            if here:
                below.update(map(id, here))
                items = (
                    None if item is None else (*item, *(f for b in here for f in _under(b, name, number)))
                    for number, item in enumerate(factor.items)
                )
                made[id(factor)] = Decide(name, tuple(items))
    return tuple(made.get(id(factor), factor) for factor in formula if id(factor) not in below)


def _under(factor: Given, decision: str, item: int) -> Product:
    """The factor under the item that one of its decisions takes."""
    at = factor.decisions.index(decision)
    rest = (*factor.decisions[:at], *factor.decisions[at + 1 :])
    cases = {(*key[:at], *key[at + 1 :]): case for key, case in factor.cases if key[at] == item}
    return given(rest, cases) if cases else (Ways(()),)
