"""A quantity as a function of the decisions of a space: a polynomial in the items that decisions take.

Each term is a number and the items that must all be taken for it to count. One formula gives the exact cost of an
architecture (items taken or not), the expectation in a supernet (items by their weights), and the smallest and largest
cost of the space (`elimination`).

Costs are those of the discrete network: what differs while a space is relaxed (norms without affine parameters, items
that are never derived) is elaborated as it will be derived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from compiler.derivation.assignment import Assignment, undecided
from compiler.derivation.discrete import DifferentDecisionsError, discrete
from compiler.elaborate import BodyElaboration, Elaborated
from compiler.elaborate.values import Value, params_of
from compiler.ir.decision import Selection
from compiler.ir.existence import ALWAYS, Monomial, holds
from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.base import Gather, Operator
from compiler.ir.primitives.external import Unavailable
from compiler.ir.shape import Shape
from compiler.ir.undecided import MOST, Var

from .existence import Conditions, ExistenceTooComplexError
from .prices import Amount, Application, Price, UndefinedQuantityError, sizes

Terms = dict[Monomial, Amount]


@dataclass(frozen=True)
class Formula:
    """A quantity of a space.

    Where it is not ``exact``, `prune` may leave out more than the terms know: they then add up to at least the cost of
    an architecture, and those of ``least``, which are fewer, to at most that.
    """

    terms: Mapping[Monomial, Amount]
    least: Mapping[Monomial, Amount]
    exact: bool = True

    def of(self, chosen: Selection) -> Amount:
        """The quantity under decisions."""
        return sum(value for monomial, value in self.terms.items() if holds(monomial, chosen))


class Costing:
    """The costs of a space.

    Args:
        space: an elaborated network, with or without choices.

    Raises:
        UndefinedQuantityError: the discrete networks have other decisions than the relaxed one.
    """

    def __init__(self, space: Elaborated) -> None:
        self.space = space
        try:
            self.variant = space.once(discrete)
        except DifferentDecisionsError as error:
            raise UndefinedQuantityError(str(error)) from None
        self.discrete = self.variant.network
        self.conditions = Conditions(self.discrete.decisions)
        self.inexact: set[int] = set()
        self._of: dict[int, tuple[Block, dict[int, list[tuple[Monomial, int]]]]] = {}

    # ------------------------------------------------------------ as a formula

    def formula(self, price: Price, block: Block | None = None) -> Formula:
        """The formula of a quantity, of the network or of a block of `discrete`.

        Raises:
            UndefinedQuantityError: the quantity has no value somewhere.
            ExistenceTooComplexError: a node exists in too many different ways.
        """
        whole = block or self.discrete.block
        terms = self.named(_Pricing(self, price).block(whole))
        if not self.inexact:
            return Formula(terms, terms)
        return Formula(terms, self.named(_Pricing(self, price, self.inexact).block(whole)), exact=False)

    def named(self, terms: Terms) -> Terms:
        """Terms in the items of the space."""
        return {
            frozenset((path, self.variant.items[path][item]) for path, item in monomial): value
            for monomial, value in terms.items()
        }

    def conditions_of(self, block: Block) -> dict[int, list[tuple[Monomial, int]]]:
        """When the nodes of a block exist."""
        known = self._of.get(id(block))
        if known is None:
            text = self.text(block)
            prune = self.prunes(block)
            try:
                found = self.conditions.of(block.graph, text, prune)
                if not self.is_exact(block.graph, prune):
                    self.inexact.add(id(block))
            except ExistenceTooComplexError:
                if not prune:
                    raise
                found = self.conditions.of(block.graph, text, prune=False)
                self.inexact.add(id(block))
            # The block is kept along, or its id could be another's later.
            known = self._of[id(block)] = block, found
        return known[1]

    def is_exact(self, graph: SpaceGraph, prune: bool) -> bool:
        """Whether nothing depends on what picks of any number leave: nothing at all, or a concatenation of some."""
        for index, node in graph.order():
            match node.payload:
                case Weigh(decision=decision) if prune and not self.discrete.decisions[decision].least:
                    return False
                case Prim(op=op) if op.gather is Gather.CONCATENATION and any(
                    isinstance(graph.node(source).payload, Weigh) for source in graph.sources(index)
                ):
                    return False
        return True

    def prunes(self, block: Block) -> bool:
        """Whether what the output of a block does not need is left out: where its text says so and has choices."""
        copy = self.space.copies.get(block.copy) if block.copy is not None else None
        return copy is not None and copy.body.prune and copy.live

    def text(self, block: Block) -> BodyElaboration | None:
        """The body of the copy that a block is an instance of."""
        copy = self.discrete.copies.get(block.copy) if block.copy is not None else None
        return None if copy is None else copy.bodies.get(block, copy.body)


class _Pricing:
    """One quantity of blocks, each computed once; nothing of those ``without``."""

    def __init__(self, costing: Costing, price: Price, without: Collection[int] = ()) -> None:
        self.costing, self.price, self.without = costing, price, without
        self.joined = costing.conditions.joined
        self._blocks: dict[int, Terms] = {}

    def block(self, block: Block) -> Terms:
        if id(block) in self.without:
            return {}
        if id(block) not in self._blocks:
            graph, total = block.graph, Terms()
            conditions = self.costing.conditions_of(block)
            rough = id(block) in self.costing.inexact
            for index, node in graph.order():
                for monomial, sign in conditions[index]:
                    for inner, amount in self.node(graph, index, node, conditions):
                        # Where more is counted than there is, a sum may have nothing to add up.
                        value = max(amount, 0) if rough else amount
                        both = self.joined(monomial, inner)
                        if both is not None and value:
                            total[both] = total.get(both, 0) + sign * value
            self._blocks[id(block)] = {monomial: value for monomial, value in total.items() if value}
        return self._blocks[id(block)]

    def node(
        self, graph: SpaceGraph, index: int, node: Node, conditions: Mapping[int, list[tuple[Monomial, int]]]
    ) -> Iterator[tuple[Monomial, Amount]]:
        """The monomials of a node that exists."""
        sources = [graph.node(source) for source in graph.sources(index)]
        shapes = [source.shape for source in sources]
        match node.payload:
            case Call(block=block):
                yield ALWAYS, self.price.applied(block)
                if self.price.prices_operation(block.name) and block.is_operation:
                    yield from self.operation(block, shapes, node.shape)
                else:
                    yield from self.block(block).items()
            case Prim(op=op) if self.price.of_structure:
                yield ALWAYS, self.price.applied(op)
            case Prim(op=op):
                yield ALWAYS, self.price.applied(op)
                yield from self.primitive(op, shapes, node.shape)
                if op.gather is Gather.SUM:
                    yield from self.addends(graph.sources(index), node.shape, conditions)
            case Weigh():
                yield ALWAYS, self.price.picked()

    def primitive(self, op: Operator, inputs: Sequence[Shape], output: Shape) -> Iterator[tuple[Monomial, Amount]]:
        values = [value for _, value in op.attributes]
        for monomial, assigned in cases([*values, *_dims(inputs), *output.dims]):
            yield monomial, primitive(self.price, op, inputs, output, assigned)

    def addends(
        self, sources: Sequence[int], shape: Shape, conditions: Mapping[int, list[tuple[Monomial, int]]]
    ) -> Iterator[tuple[Monomial, Amount]]:
        """A sum adds up those of its sources that exist."""
        for widths, assigned in cases(shape.dims):
            amount = self.price.addend(sizes([assigned.shape(shape)])[0])
            for source in sources if amount else ():
                for monomial, sign in conditions[source]:
                    both = self.joined(widths, monomial)
                    if both is not None:
                        yield both, sign * amount

    def operation(self, block: Block, inputs: Sequence[Shape], output: Shape) -> Iterator[tuple[Monomial, Amount]]:
        """An operation, priced as a whole in the cases in which it can be."""
        inside = self.block(block)
        decisions = {decision for monomial in inside for decision, _ in monomial}
        values: list[Value] = [*params_of(block).values(), *_dims(inputs), *output.dims]
        for decision in decisions:
            size = len(self.costing.discrete.decisions[decision].items)
            values.append(Var((decision,), (size,), tuple(range(size))))
        for monomial, assigned in cases(values):
            yield monomial, operation(self.price, block, inputs, output, assigned, inside)


def cases(values: Iterable[Value]) -> Iterator[tuple[Monomial, Assignment]]:
    """All joint assignments of the decisions that values depend on."""
    found: dict[str, int] = {}
    for value in values:
        for part in undecided(value):
            found |= dict(zip(part.decisions, part.sizes, strict=True))
    total = 1
    for size in found.values():
        total *= size
    if total > MOST:
        raise UndefinedQuantityError(f"there are too many joint cases of {', '.join(found)}")
    for items in product(*(range(size) for size in found.values())):
        assigned = Assignment(tuple(found), items)
        yield assigned.monomial, assigned


def primitive(price: Price, op: Operator, inputs: Sequence[Shape], output: Shape, assigned: Assignment) -> Amount:
    """The price of a primitive under decisions."""
    if isinstance(op, Unavailable):
        raise UndefinedQuantityError(f"what the plugin '{op.called}' costs is not known: {op.remedy}")
    decided = op.map(assigned.attribute)
    *before, after = sizes([assigned.shape(shape) for shape in (*inputs, output)])
    return price.primitive(decided, Application.of(decided, tuple(before), after))


def operation(
    price: Price, block: Block, inputs: Sequence[Shape], output: Shape, assigned: Assignment, inside: Terms
) -> Amount:
    """The price of an operation under decisions: its own price, else the sum of the prices of its nodes."""
    attrs = {name: assigned.value(value) for name, value in params_of(block).items()}
    *before, after = sizes([assigned.shape(shape) for shape in (*inputs, output)])
    found = price.operation(Application(block.name, attrs, tuple(before), after, definition=block.definition))
    if found is not None:
        return found
    taken = assigned.monomial
    return sum(value for monomial, value in inside.items() if monomial <= taken)


def _dims(shapes: Sequence[Shape]) -> list[Value]:
    return [dim for shape in shapes for dim in shape.dims]
