"""`require` statements asked of architectures: of one that is written down, or of the decisions of a space.

`edges` and `count(Op)` are about the text in which they are required, everything else about the whole network.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from compiler.analysis.costs.cost_polynomial import Costing, Formula
from compiler.analysis.costs.existence import ExistenceTooComplexError
from compiler.analysis.costs.latency_table import BadTableError, Table, read_table
from compiler.analysis.costs.of_architecture import ArchitectureCosts
from compiler.analysis.costs.prices import Application, Latency, Price, UndefinedQuantityError, lacking, price_of
from compiler.derivation.specialise import derived_at
from compiler.elaborate import Elaborated, Requirement
from compiler.ir import conditions
from compiler.ir.decision import Selection
from compiler.ir.graph import Block
from compiler.ir.quantities import Number, Total, parts
from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity
from hdas_dsl.tree.words import TOTALS, QuantityArgument


@dataclass(frozen=True)
class QuantityRef:
    """A total of one network; ``network`` is as in `Requirement`."""

    total: Total
    network: Elaborated | None = None

    def __str__(self) -> str:
        return str(self.total) if self.network is None else f"{self.total} when trained"


def quantities(requirement: Requirement) -> Iterator[QuantityRef]:
    """Every total that a requirement mentions, as often as it does."""
    return (QuantityRef(total, requirement.network) for total in conditions.totals(requirement.condition))


class Requirements:
    """The requirements of a space, and the quantities of its architectures.

    An architecture is given by its decisions: the items of every decision of the space. Of a space that is an
    architecture itself, these are empty.

    Args:
        space: an elaborated network, with or without choices.
        requirements: those to ask; by default all of the space, its sections' included.
    """

    def __init__(self, space: Elaborated, requirements: Sequence[Requirement] | None = None) -> None:
        self.space = space
        self.requirements = tuple(space.requirements if requirements is None else requirements)
        self._costings: dict[Elaborated, Costing] = {}
        self._architectures: dict[Elaborated, ArchitectureCosts] = {}
        self._exact: dict[QuantityRef, Formula | None] = {}
        self._formulas: dict[QuantityRef, Formula] = {}
        self._tables: dict[Path, Table] = {}

    def __bool__(self) -> bool:
        return bool(self.requirements)

    # ------------------------------------------------------------ conditions

    def met(self, chosen: Selection) -> bool:
        """Whether the architecture that decisions select satisfies all requirements.

        Raises:
            UndefinedQuantityError: a quantity of them has no value; the text says which and why.
        """
        return all(self.holds(requirement, chosen) for requirement in self.requirements)

    def holds(self, requirement: Requirement, chosen: Selection) -> bool:
        """Whether one requirement is satisfied; raises `UndefinedQuantityError` like `met`."""
        network = requirement.network
        found = conditions.evaluate(
            requirement.condition, lambda total: self.amount(QuantityRef(total, network), chosen)
        )
        if found is None:
            raise UndefinedQuantityError(f"`{requirement.span.text}` cannot be computed")
        return found

    def shortfall(self, requirement: Requirement, chosen: Selection) -> float:
        """How far an architecture is from meeting a requirement, relative to what is asked for; 0 where it is met.

        Raises:
            UndefinedQuantityError: that is not known. A part that is not known does not matter where the others decide.
        """
        reasons: list[str] = []

        def value(total: Total) -> Number | None:
            try:
                return self.amount(QuantityRef(total, requirement.network), chosen)
            except UndefinedQuantityError as reason:
                reasons.append(str(reason))
                return None

        found = conditions.shortfall(requirement.condition, value)
        if found is None:
            raise UndefinedQuantityError(reasons[0] if reasons else "it is not known of an architecture")
        return found

    # ------------------------------------------------------------ quantities

    def amount(self, item: QuantityRef, chosen: Selection) -> Number:
        """A quantity of the architecture that decisions select, in the unit of its price.

        Raises:
            UndefinedQuantityError: it has no value.
        """
        if item.total.name == "edges" and not self.space.is_space:
            raise UndefinedQuantityError("an architecture has no picks left, by which its edges are counted")
        formula = self.exact_formula(item)
        found = self.of_architecture(item, chosen) if formula is None else formula.of(chosen)
        # Terms add up in another order in a space than in its architectures: what lies below a picosecond is rounding.
        return found if isinstance(found, int) else round(found, 9)

    def exact_formula(self, item: QuantityRef) -> Formula | None:
        """The formula of a quantity, where it gives that of every architecture: no width is open, little is pruned."""
        if item not in self._exact:
            self._exact[item] = None
            if item.network is None or _same_choices(item.network, self.space):
                with suppress(ExistenceTooComplexError, UndefinedQuantityError):
                    formula = self.formula(item)
                    self._exact[item] = formula if formula.exact else None
        return self._exact[item]

    def of_architecture(self, item: QuantityRef, chosen: Selection) -> Number:
        """A quantity of an architecture, added up on its graph; raises `UndefinedQuantityError` like `amount`."""
        price, network = self.price(item), item.network or self.space
        if not _same_choices(network, self.space):
            # Decisions of the space select nothing of that network; the text that they select may be trained as it.
            if item.total.copy is not None:
                raise UndefinedQuantityError(f"'{network.name}' has other choices when it is trained")
            return ArchitectureCosts(derived_at(self.space, chosen, network)).amount(price, {})
        if network not in self._architectures:
            self._architectures[network] = ArchitectureCosts(network)
        return self._architectures[network].amount(price, chosen, item.total.copy)

    def formula(self, item: QuantityRef) -> Formula:
        """A quantity as a function of decisions.

        Raises:
            UndefinedQuantityError: it has no value.
            ExistenceTooComplexError: it cannot be written down.
        """
        if item not in self._formulas:
            price = self.price(item)
            if isinstance(price, Latency):
                self.complete(item, price)
            self._formulas[item] = self.costing(item).formula(price, self.block(item))
        return self._formulas[item]

    def complete(self, item: QuantityRef, price: Latency) -> None:
        """Check that a table has a row for every operation; raises `UndefinedQuantityError` with those missing."""
        missing: dict[str, Application] = {}
        self.costing(item).formula(Latency(price.table, missing), self.block(item))
        if missing:
            raise UndefinedQuantityError(lacking(price.table, missing))

    def costing(self, item: QuantityRef) -> Costing:
        """The costs of the network that a quantity is about."""
        network = item.network or self.space
        if network not in self._costings:
            self._costings[network] = Costing(network)
        return self._costings[network]

    def price(self, item: QuantityRef) -> Price:
        """The price behind a quantity; raises `UndefinedQuantityError` where its table cannot be read."""
        tables = {item.total.argument or "": self.table(item)} if item.total.by_table else {}
        return price_of(item.total, tables)

    def table(self, item: QuantityRef) -> Table:
        """The table of a latency, read once; raises `UndefinedQuantityError` where that is not possible."""
        name = item.total.argument or ""
        if item.total.file is None:
            raise UndefinedQuantityError(f"'{name}' lies outside the folder of this file and the shipped library")
        if item.total.file not in self._tables:
            try:
                self._tables[item.total.file] = read_table(item.total.file, name)
            except BadTableError as error:
                raise UndefinedQuantityError(f"{error}; `hdas-measure FILE --out {name}` writes one") from None
        return self._tables[item.total.file]

    def block(self, item: QuantityRef) -> Block | None:
        """The block that a quantity is about; None for the whole network."""
        if item.total.copy is None:
            return None
        copies = self.costing(item).discrete.copies
        if item.total.copy not in copies:
            raise UndefinedQuantityError(f"there is no '{item.total.copy}' here")
        return copies[item.total.copy].block


def _same_choices(network: Elaborated, space: Elaborated) -> bool:
    """Whether the decisions of a space select architectures of another network."""
    return network.decisions.keys() <= space.decisions.keys() and all(
        decision.items == space.decisions[path].items and decision.derivable == space.decisions[path].derivable
        for path, decision in network.decisions.items()
    )


# ---------------------------------------------------------------- what is reported of a network


def reported_quantities(space: Elaborated) -> list[QuantityRef]:
    """The totals of every network, and those that the space itself prefers or requires, each once."""
    plain = (name for name, word in TOTALS.items() if word.argument is QuantityArgument.NONE and not word.structural)
    found = dict.fromkeys(QuantityRef(Total(name)) for name in plain)
    for preference in space.preferences:
        found |= dict.fromkeys(QuantityRef(part) for part in parts(preference.quantity) if isinstance(part, Total))
    for requirement in space.requirements:
        found |= dict.fromkeys(quantities(requirement))
    return list(found)


def amounts_of(space: Elaborated) -> Iterator[tuple[str, Number]]:
    """The quantities of an architecture, where they are known."""
    wanted = Requirements(space)
    for item in reported_quantities(space):
        with suppress(UndefinedQuantityError):
            yield str(item), wanted.amount(item, {})


def unmet(space: Elaborated, requirements: Sequence[Requirement] | None = None) -> list[Diagnostic]:
    """A warning for each requirement, its own or those given, that an architecture certainly breaks."""
    if space.is_space or not (space.requirements if requirements is None else requirements):
        return []
    wanted = Requirements(space, requirements)
    return [found for requirement in wanted.requirements if (found := _warning(wanted, requirement)) is not None]


def _warning(wanted: Requirements, requirement: Requirement) -> Diagnostic | None:
    known: dict[Total, Number] = {}
    for item in quantities(requirement):
        with suppress(UndefinedQuantityError):
            known[item.total] = wanted.amount(item, {})
    if conditions.evaluate(requirement.condition, known.get) is not False:
        return None
    facts = ", ".join(
        f"{QuantityRef(total, requirement.network)} is {as_text(value)}" for total, value in known.items()
    )
    message = f"the architecture does not meet `{requirement.span.text}`{f': {facts}' if facts else ''}"
    return Diagnostic(Code.REQUIRE, requirement.span, message, severity=Severity.WARNING)


def as_text(amount: Number) -> str:
    """A quantity in a message: digits in groups, four of a fraction."""
    return f"{amount:,}" if isinstance(amount, int) else f"{amount:,.4g}"
