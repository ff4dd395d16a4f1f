"""The smallest and the largest value of a formula over all architectures of a space, by eliminating variables.

A formula is a sum of tables, each over a few decisions. A decision is eliminated by adding up the tables that depend on
it and keeping, for every case of the other decisions in them, its best item (Dechter, "Bucket elimination", 1999). That
is exact. Where the joint table would be too large, the tables are optimised apart from each other (mini-buckets): the
result is then a bound, below the minimum or above the maximum, and says so.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.ir.decision import Decision, DecisionKind, Selection, selections
from compiler.ir.existence import ItemTaken, Monomial

from .cost_polynomial import Formula
from .existence import ExistenceTooComplexError
from .prices import Amount

MOST_CASES = 500_000
"""The most cases of a table."""

MOST_CASES_OF_BOUND = 2_000
"""The most cases of a table where only a bound can be found."""

MOST_AXES = 32
"""The most variables of a table: numpy has no more axes."""

MOST_INT64 = 2**53
"""Tables whose sums may be larger hold Python's integers, so that no sum of tables overflows."""

Table: TypeAlias = "NDArray[Any]"

State: TypeAlias = "tuple[int, ...]"
"""The items of a decision that one state of a variable takes."""


@dataclass(frozen=True)
class Variable:
    """A variable of the elimination: a decision with all its selections, or one candidate of a pick without bounds."""

    decision: str
    states: tuple[State, ...]
    only: int | None = None

    def __str__(self) -> str:
        return self.decision if self.only is None else f"{self.decision}[{self.only}]"


@dataclass(frozen=True, eq=False)
class Factor:
    """A table over variables, one axis each; states by their numbers."""

    scope: tuple[int, ...]
    table: Table

    def spread(self, scope: Sequence[int]) -> Table:
        """The table with an axis for each variable of ``scope``, of length 1 for those that it does not depend on."""
        kept = [index for index in scope if index in self.scope]
        turned = self.table.transpose([self.scope.index(index) for index in kept])
        lengths = iter(turned.shape)
        return turned.reshape([next(lengths) if index in self.scope else 1 for index in scope])


class Variables:
    """The decisions of a space as independent variables."""

    def __init__(self, decisions: Mapping[str, Decision]) -> None:
        self.all: list[Variable] = []
        self._of: dict[str, list[int]] = {}
        for path, decision in decisions.items():
            for variable in _variables(path, decision):
                self._of.setdefault(path, []).append(len(self.all))
                self.all.append(variable)

    def of(self, literal: ItemTaken) -> int:
        """The variable that decides whether an item is taken."""
        path, item = literal
        several = self._of[path]
        return several[0] if self.all[several[0]].only is None else several[item]

    def factors(self, terms: Iterable[tuple[Monomial, Amount]]) -> tuple[list[Factor], Amount]:
        """One table per set of variables, and the sum of constant terms; `ExistenceTooComplexError` where none fits."""
        constant: Amount = 0
        by_scope: dict[tuple[int, ...], list[tuple[Monomial, Amount]]] = {}
        for monomial, value in terms:
            scope = tuple(sorted({self.of(literal) for literal in monomial}))
            if not self.fits(scope):
                raise ExistenceTooComplexError
            if scope:
                by_scope.setdefault(scope, []).append((monomial, value))
            else:
                constant += value
        return [self.factor(scope, group) for scope, group in by_scope.items()], constant

    def factor(self, scope: tuple[int, ...], terms: Sequence[tuple[Monomial, Amount]]) -> Factor:
        """The sum of terms as one table over these variables, of integers where all coefficients are."""
        whole = all(isinstance(value, int) for _, value in terms)
        fits = sum(abs(value) for _, value in terms) < MOST_INT64
        lengths = [len(self.all[index].states) for index in scope]
        table: Table = np.zeros(lengths, dtype=np.float64 if not whole else np.int64 if fits else np.object_)
        for monomial, value in terms:
            ways: list[list[int]] = []
            for index in scope:
                wanted = {item for path, item in monomial if self.of((path, item)) == index}
                ways.append([n for n, state in enumerate(self.all[index].states) if wanted <= set(state)])
            table[np.ix_(*ways)] += value
        return Factor(scope, table)

    def decisions(self, states: Mapping[int, int]) -> Selection:
        """The selection of the states of all variables."""
        return {
            path: tuple(sorted(item for index in several for item in self.all[index].states[states[index]]))
            for path, several in self._of.items()
        }

    def size(self, scope: Iterable[int]) -> int:
        """The number of joint cases of variables."""
        return math.prod(len(self.all[index].states) for index in scope)

    def fits(self, scope: Collection[int]) -> bool:
        """Whether there is a table over these variables."""
        return len(scope) <= MOST_AXES and self.size(scope) <= MOST_CASES

    def bounded(self, terms: Mapping[Monomial, Amount], sign: int) -> dict[Monomial, Amount]:
        """Terms that fit into tables, whose sum is an upper bound of that of ``terms`` (sign 1) or a lower one (-1)."""
        found: dict[Monomial, Amount] = {}
        for monomial, value in terms.items():
            kept: Monomial = frozenset()
            for literal in sorted(monomial):
                if self.fits({self.of(each) for each in (*kept, literal)}):
                    kept |= {literal}
            # A term that asks for fewer items counts in more cases; a term that is left out counts in none.
            if len(kept) == len(monomial) or value * sign > 0:
                found[kept] = found.get(kept, 0) + value
        return found


def _variables(path: str, decision: Decision) -> Iterator[Variable]:
    items = range(len(decision.items))
    if decision.kind is DecisionKind.PICK and not decision.bounded:
        for item in items:
            yield Variable(path, ((), (item,)), item)
    elif decision.kind is DecisionKind.PICK:
        yield Variable(path, tuple(selections(decision)))
    else:
        yield Variable(path, tuple((item,) for item in decision.derivable_items))


@dataclass(frozen=True)
class Optimum:
    """The best value; where not ``exact`` it is only a bound. ``states`` reach it, where a witness was asked for."""

    value: Amount
    exact: bool
    states: Mapping[int, int] | None = None


def elimination_order(variables: Variables, scopes: Iterable[Sequence[int]]) -> list[int]:
    """The order in which to eliminate variables: always the one whose joint table is the smallest (min-weight)."""
    neighbours: dict[int, set[int]] = {}
    for scope in scopes:
        for index in scope:
            neighbours.setdefault(index, set()).update(other for other in scope if other != index)
    sizes = {index: variables.size(around) for index, around in neighbours.items()}
    queue = [(size, index) for index, size in sizes.items()]
    heapify(queue)
    found: list[int] = []
    while queue:
        size, index = heappop(queue)
        if sizes.get(index) != size:
            continue  # an entry from before it changed
        around = neighbours.pop(index)
        del sizes[index]
        for other in around:
            neighbours[other] |= around - {other}
            neighbours[other].discard(index)
            sizes[other] = variables.size(neighbours[other])
            heappush(queue, (sizes[other], other))
        found.append(index)
    return found


def minimum(
    variables: Variables,
    factors: Sequence[Factor],
    constant: Amount = 0,
    *,
    largest: int = MOST_CASES,
    witness: bool = True,
) -> Optimum:
    """The smallest value of a sum of tables.

    Args:
        variables: what is decided.
        factors: the tables.
        constant: what is added to their sum.
        largest: the most cases of a joint table; larger ones are optimised apart (mini-buckets).
        witness: whether to find the states that reach the minimum.
    """
    exact, value = True, constant
    pending = dict(enumerate(factors))
    reading: defaultdict[int, list[int]] = defaultdict(list)  # of each variable, the tables, in order
    for number, factor in pending.items():
        for index in factor.scope:
            reading[index].append(number)
    count = len(pending)
    best: list[tuple[int, tuple[int, ...], Table]] = []
    for index in elimination_order(variables, (factor.scope for factor in factors)):
        mine = [pending.pop(number) for number in reading.pop(index) if number in pending]
        groups = _groups(variables, mine, largest)
        exact &= len(groups) == 1
        for group in groups:
            scope = tuple(sorted({other for factor in group for other in factor.scope} - {index}))
            joint = _joint(group, (*scope, index))
            if witness:
                best.append((index, scope, joint.argmin(-1)))
            if scope:
                pending[count] = Factor(scope, joint.min(-1))
                for other in scope:
                    reading[other].append(count)
                count += 1
            else:
                least = joint.min()
                value += least.item() if isinstance(least, np.generic) else least
    if not exact or not witness:
        return Optimum(value, exact)
    states: dict[int, int] = dict.fromkeys(range(len(variables.all)), 0)
    for index, scope, argument in reversed(best):
        states[index] = int(argument[tuple(states[other] for other in scope)])
    return Optimum(value, True, states)


@dataclass(frozen=True)
class Range:
    """The smallest and the largest value of a quantity over a space; an end that is not exact is a bound."""

    low: Amount
    high: Amount
    low_exact: bool = True
    high_exact: bool = True


def range_of(formula: Formula, variables: Variables) -> Range:
    """The smallest and the largest value of a formula."""
    largest = MOST_CASES if formula.exact else MOST_CASES_OF_BOUND
    most, least = variables.bounded(formula.terms, 1), variables.bounded(formula.least, -1)
    exact = formula.exact and most == least
    tables = variables.factors(most.items())
    lower = tables if exact else variables.factors(least.items())
    low = minimum(variables, *lower, largest=largest, witness=False)
    high = maximum(variables, *tables, largest=largest, witness=False)
    return Range(low.value, high.value, low.exact and exact, high.exact and exact)


def maximum(
    variables: Variables,
    factors: Sequence[Factor],
    constant: Amount = 0,
    *,
    largest: int = MOST_CASES,
    witness: bool = True,
) -> Optimum:
    """The largest value of a sum of tables; arguments as those of `minimum`."""
    turned = [Factor(factor.scope, -factor.table) for factor in factors]
    found = minimum(variables, turned, -constant, largest=largest, witness=witness)
    return Optimum(-found.value, found.exact, found.states)


def _groups(variables: Variables, factors: Sequence[Factor], largest: int) -> list[list[Factor]]:
    """Tables to be added up: all, or as many as make no table that is too large."""
    groups: list[tuple[set[int], list[Factor]]] = []
    for factor in sorted(factors, key=lambda f: -len(f.scope)):
        for scope, group in groups:
            if variables.size(scope | set(factor.scope)) <= largest:
                scope |= set(factor.scope)
                group.append(factor)
                break
        else:
            groups.append((set(factor.scope), [factor]))
    return [group for _, group in groups]


def _joint(group: Sequence[Factor], scope: Sequence[int]) -> Table:
    """The sum of tables, over all variables of a scope."""
    # The small tables first: their sum is mostly still small.
    first, *others = sorted(group, key=lambda factor: factor.table.size)
    total = first.spread(scope)
    for factor in others:
        total = total + factor.spread(scope)
    return total
