"""`require` statements: does an architecture, written down or given as the decisions of a space, satisfy them?

`edges` and `count(Op)` are about the text in which they are required, everything else about the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.analysis.costs.cost_polynomial import Costing, Formula
from compiler.analysis.costs.existence import Entangled
from compiler.analysis.costs.latency_table import BadTable, Table, read_table
from compiler.analysis.costs.prices import Amount, Application, Latency, Price, Undefined, lacking, price_of
from compiler.derivation.specialise import derived
from compiler.derivation.strongest import Decisions
from compiler.elaborate import Elaborated, Requirement
from compiler.elaborate.numbers import BINARY
from compiler.elaborate.preferences import read_total
from compiler.ir.graph import Block
from compiler.ir.quantities import Total, parts
from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity
from hdas_dsl.tree import ast

if TYPE_CHECKING:
    from compiler.analysis.costs.elimination import Range

Truth = float | bool | None
"""The value of a part of a condition; None where it is not known."""


@dataclass(frozen=True)
class Asked:
    """A quantity that a requirement speaks of; ``network`` is as in `Requirement`."""

    total: Total
    network: Elaborated | None = None

    def __str__(self) -> str:
        return str(self.total) if self.network is None else f"{self.total} when trained"


def asked(node: ast.Node, requirement: Requirement) -> Asked | None:
    """The quantity that a part of a condition names, if it does."""
    total = read_total(node, requirement.frame.body)
    return None if total is None else Asked(total, requirement.network)


def quantities(requirement: Requirement) -> Iterator[Asked]:
    """Every quantity that a requirement speaks of."""
    for node in requirement.condition.walk():
        if (found := asked(node, requirement)) is not None:
            yield found


class Requirements:
    """The requirements of a space, its own or those given.

    Of an architecture, ``decisions`` are empty.
    """

    def __init__(self, space: Elaborated, requirements: Sequence[Requirement] | None = None) -> None:
        self.space = space
        self.requirements = tuple(space.requirements if requirements is None else requirements)
        self._costings: dict[Elaborated, Costing] = {}
        self._formulas: dict[Asked, Formula] = {}
        self._tables: dict[Path, Table] = {}

    def __bool__(self) -> bool:
        return bool(self.requirements)

    def met(self, chosen: Decisions) -> bool:
        """Whether the architecture that decisions select satisfies all requirements.

        Raises:
            Undefined: a quantity of them has no value; the text says which and why.
        """
        return all(self.holds(requirement, chosen) for requirement in self.requirements)

    def holds(self, requirement: Requirement, chosen: Decisions) -> bool:
        """Whether one requirement is satisfied; raises `Undefined` like `met`."""
        found = value(requirement.condition, requirement, lambda item: self.amount(item, chosen))
        if found is None:
            raise Undefined(f"`{requirement.condition.span.text}` cannot be computed")
        return bool(found)

    def amount(self, item: Asked, chosen: Decisions) -> Amount:
        """A quantity of the architecture that decisions select.

        Raises:
            Undefined: it has no value.
        """
        try:
            found = self.by_decisions(item, chosen)
        except Undefined:
            # Widths may be open, and channels depend on how many tensors are picked, until an architecture is derived.
            if not chosen or item.total.copy is not None:
                raise
            network = derived(item.network or self.space, chosen)
            found = Costing(network).exact(self.price(item), {})
        # Terms add up in another order in a space than in its architectures: what lies below a picosecond is rounding.
        return found if isinstance(found, int) else round(found, 9)

    def by_decisions(self, item: Asked, chosen: Decisions) -> Amount:
        """A quantity of an architecture that is not derived; raises `Undefined` like `amount`."""
        try:
            formula = self.formula(item)
        except Entangled:
            formula = None
        if formula is not None and formula.exact:
            return formula.of(chosen)
        return self.costing(item).exact(self.price(item), chosen, self.block(item))

    def formula(self, item: Asked) -> Formula:
        """A quantity as a function of decisions.

        Raises:
            Undefined: it has no value.
            Entangled: it cannot be written down.
        """
        if item not in self._formulas:
            price = self.price(item)
            if isinstance(price, Latency):
                self.complete(item, price)
            self._formulas[item] = self.costing(item).formula(price, self.block(item))
        return self._formulas[item]

    def complete(self, item: Asked, price: Latency) -> None:
        """See that a table has a row for every operation of a space; raises `Undefined` with those that it lacks."""
        missing: dict[str, Application] = {}
        self.costing(item).formula(Latency(price.table, missing), self.block(item))
        if missing:
            raise Undefined(lacking(price.table, missing))

    def costing(self, item: Asked) -> Costing:
        """The costs of the network that a quantity is about."""
        network = item.network or self.space
        if network not in self._costings:
            self._costings[network] = Costing(network)
        return self._costings[network]

    def price(self, item: Asked) -> Price:
        tables = {item.total.argument or "": self.table(item)} if item.total.name == "latency" else {}
        return price_of(item.total, tables)

    def table(self, item: Asked) -> Table:
        """The table of a latency, read once."""
        name = item.total.argument or ""
        if item.total.file is None:
            raise Undefined(f"'{name}' lies outside the folder of this file and the shipped library")
        if item.total.file not in self._tables:
            try:
                self._tables[item.total.file] = read_table(item.total.file, name)
            except BadTable as error:
                raise Undefined(f"{error}; `hdas-measure FILE --out {name}` writes one") from None
        return self._tables[item.total.file]

    def block(self, item: Asked) -> Block | None:
        """The block that a quantity is about; None for the whole network."""
        if item.total.copy is None:
            return None
        copies = self.costing(item).discrete.copies
        if item.total.copy not in copies:
            raise Undefined(f"there is no '{item.total.copy}' here")
        return copies[item.total.copy].block


def spoken_of(space: Elaborated) -> list[Asked]:
    """The quantities of every network, and those that the space itself prefers or requires."""
    found = dict.fromkeys(Asked(Total(name)) for name in ("params", "macs", "memory"))
    for preference in space.preferences:
        found |= dict.fromkeys(Asked(part) for part in parts(preference.quantity) if isinstance(part, Total))
    for requirement in space.requirements:
        found |= dict.fromkeys(quantities(requirement))
    return list(found)


def ranges_of(space: Elaborated) -> Iterator[tuple[str, Range]]:
    """Between which values the quantities of a space lie, where they are known."""
    from compiler.analysis.costs.elimination import Variables, range_of  # with it comes numpy

    wanted = Requirements(space)
    variables = Variables(space.decisions)
    for item in spoken_of(space):
        with suppress(Undefined, Entangled):
            yield str(item), range_of(wanted.formula(item), variables)


def amounts_of(space: Elaborated) -> Iterator[tuple[str, Amount]]:
    """The quantities of an architecture, where they are known."""
    wanted = Requirements(space)
    for item in spoken_of(space):
        with suppress(Undefined):
            yield str(item), wanted.amount(item, {})


def unmet(space: Elaborated, requirements: Sequence[Requirement] | None = None) -> list[Diagnostic]:
    """A warning for each requirement, its own or those given, that an architecture breaks; what is not known is not."""
    if space.is_space or not (space.requirements if requirements is None else requirements):
        return []
    wanted = Requirements(space, requirements)
    return [found for requirement in wanted.requirements if (found := _check(wanted, requirement)) is not None]


def shortfall(requirement: Requirement, space: Elaborated) -> float | None:
    """How far an architecture is from meeting a requirement, relative to what is asked for.

    Returns:
        0 where it is met; None where its quantities are not known on the graph.
    """
    return _shortfall(requirement.condition, requirement, _known(Requirements(space, [requirement])))


def _shortfall(condition: ast.Expr, requirement: Requirement, amount: Callable[[Asked], Amount | None]) -> float | None:
    holds = value(condition, requirement, amount)
    if holds is None or holds:
        return None if holds is None else 0.0
    match condition:
        case ast.Binary(op="and" | "or" as op, left=left, right=right):
            sides = [_shortfall(side, requirement, amount) for side in (left, right)]
            known = [side for side in sides if side]
            return (sum if op == "and" else min)(known) if known else 1.0
        case ast.Binary(left=left, right=right):
            a, b = value(left, requirement, amount), value(right, requirement, amount)
            if a is not None and b is not None:
                return max(abs(a - b), 1e-9) / max(abs(b), 1)
    return 1.0


def _known(wanted: Requirements) -> Callable[[Asked], Amount | None]:
    """The quantities of an architecture, None where one is not known."""

    def amount(item: Asked) -> Amount | None:
        # An architecture has no picks left: how many edges it has is not seen.
        if item.total.name == "edges":
            return None
        try:
            return wanted.amount(item, {})
        except Undefined:
            return None

    return amount


def _check(wanted: Requirements, requirement: Requirement) -> Diagnostic | None:
    amount = _known(wanted)
    condition = requirement.condition
    if value(condition, requirement, amount) is not False:
        return None
    known: Mapping[str, Amount | None] = {str(item): amount(item) for item in quantities(requirement)}
    facts = ", ".join(f"{name} is {shown(amount)}" for name, amount in known.items() if amount is not None)
    message = f"the architecture does not meet `{condition.span.text}`: {facts}"
    return Diagnostic(Code.REQUIRE, condition.span, message, severity=Severity.WARNING)


def shown(amount: Amount) -> str:
    """A quantity for people."""
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.4g}"


def value(node: ast.Node, requirement: Requirement, amount: Callable[[Asked], Amount | None]) -> Truth:
    """A quantity, number or comparison; None where it is not known."""
    item = asked(node, requirement)
    if item is not None:
        return amount(item)
    match node:
        case ast.Number():
            return node.value
        case ast.Name(id=name):
            bound = requirement.frame.body.bindings.get(name)
            return bound if isinstance(bound, int | float) else None
        case ast.Unary(op=op, operand=operand):
            inner = value(operand, requirement, amount)
            return None if inner is None else not inner if op == "not" else -inner
        case ast.Binary(op="and" | "or" as op, left=left, right=right):
            sides = [value(left, requirement, amount), value(right, requirement, amount)]
            if any(side is not None and bool(side) is (op == "or") for side in sides):
                return op == "or"
            return None if None in sides else op == "and"
        case ast.Binary(op=op, left=left, right=right) if op in BINARY and op != "in":
            a, b = value(left, requirement, amount), value(right, requirement, amount)
            try:
                result: Truth = None if a is None or b is None else BINARY[op](a, b)
            except ArithmeticError:
                return None
            return result
    return None
