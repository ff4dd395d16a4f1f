"""A quantity as a function of the decisions of a space: a polynomial in the items that decisions take.

Each term is a number and the items that must all be taken for it to count. One formula gives the exact cost of an
architecture (items taken or not), the expectation in a supernet (`expectation`: items by their weights), and the
smallest and largest cost of the space (`optimum`).

Costs are those of the discrete network: what differs while a space is relaxed (norms without affine parameters, items
that are never derived) is elaborated as it will be derived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from compiler.derivation.presence import absent
from compiler.elaborate import BodyElaboration, Elaborated, elaborate
from compiler.elaborate.values import Bundle, Compose, Function, Partial, Value, params_of
from compiler.ir.decision import DecisionKind, Selection
from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.base import Gather, Operator
from compiler.ir.primitives.external import Unavailable
from compiler.ir.primitives.parameters import Attribute
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import MOST, Var, settle
from hdas_dsl.text.diagnostics import HspError

from .existence import ALWAYS, Conditions, ExistenceTooComplex, Monomial, holds
from .prices import Amount, Application, Price, UndefinedQuantity, sizes

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
    """What a space costs.

    Args:
        space: an elaborated network, with or without choices.

    Raises:
        UndefinedQuantity: the discrete networks have other decisions than the relaxed one.
    """

    def __init__(self, space: Elaborated) -> None:
        self.space = space
        self.discrete = discrete(space)
        self.items = _items(space, self.discrete)
        self.conditions = Conditions(self.discrete.decisions)
        self.inexact: set[int] = set()
        self._of: dict[int, tuple[Block, dict[int, list[tuple[Monomial, int]]]]] = {}

    # ------------------------------------------------------------ as a formula

    def formula(self, price: Price, block: Block | None = None) -> Formula:
        """The formula of a quantity, of the network or of a block of `discrete`.

        Raises:
            UndefinedQuantity: the quantity has no value somewhere.
            ExistenceTooComplex: a node exists in too many different ways.
        """
        whole = block or self.discrete.block
        terms = self.named(_Pricing(self, price).block(whole))
        if not self.inexact:
            return Formula(terms, terms)
        return Formula(terms, self.named(_Pricing(self, price, self.inexact).block(whole)), exact=False)

    def named(self, terms: Terms) -> Terms:
        """Terms in the items of the space."""
        return {
            frozenset((path, self.items[path][item]) for path, item in monomial): value
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
            except ExistenceTooComplex:
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
                case Weigh(decision=decision) if prune and self.discrete.decisions[decision].kind is DecisionKind.ANY:
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
        """The text of the copy that a block is an instance of."""
        copy = self.discrete.copies.get(block.copy) if block.copy is not None else None
        return None if copy is None else copy.body

    # ------------------------------------------------------------ of one architecture

    def exact(self, price: Price, chosen: Selection, block: Block | None = None) -> Amount:
        """The quantity of the architecture that decisions select, without what `prune` removes from it.

        Raises:
            UndefinedQuantity: it has no value.
            HspError: the decisions leave nothing of a text with `prune`.
        """
        mine = {
            path: tuple(index for index, item in enumerate(self.items[path]) if item in chosen[path])
            for path in self.discrete.decisions
        }
        return _Walk(self, price, mine).block(block or self.discrete.block)


def discrete(space: Elaborated) -> Elaborated:
    """The space with every operation in its discrete variant; the space itself where there is no other."""
    consulted = any(copy.body.reads_relaxed for copy in space.copies.values())
    if not consulted and all(all(decision.derivable) for decision in space.decisions.values()):
        return space
    root = space.root
    label = root.path if root.path != root.definition.name else None
    function = Function(root.definition, root.instance, label)
    found, diagnostics = elaborate(function, space.given, frozenset(), externals=space.externals)
    if found is None:
        raise HspError(diagnostics)
    return found


def _items(space: Elaborated, other: Elaborated) -> dict[str, tuple[int, ...]]:
    """For each decision of the discrete space, which item of the space each of its items is."""
    found: dict[str, tuple[int, ...]] = {}
    for path, decision in other.decisions.items():
        if path not in space.decisions:
            raise UndefinedQuantity(f"'{path}' is decided in the discrete network only")
        known = space.decisions[path]
        kept = tuple(index for index, derivable in enumerate(known.derivable) if derivable)
        if len(kept) != len(decision.items):
            raise UndefinedQuantity(f"'{path}' has other items in the discrete network")
        found[path] = kept
    return found


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
        """What a node adds where it exists."""
        sources = [graph.node(source) for source in graph.sources(index)]
        shapes = [source.shape for source in sources]
        match node.payload:
            case Call(block=block):
                yield ALWAYS, self.price.applied(block.name)
                if self.price.prices_operation(block.name) and block.level == "op":
                    yield from self.operation(block, shapes, node.shape)
                else:
                    yield from self.block(block).items()
            case Prim(name=name) if self.price.of_structure:
                yield ALWAYS, self.price.applied(name)
            case Prim(op=op):
                yield ALWAYS, self.price.applied(op.called)
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
            amount = self.price.addend(assigned.sizes([shape])[0])
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


@dataclass(frozen=True)
class Assigned:
    """Decisions that are made: values depending on them become plain."""

    decisions: tuple[str, ...] = ()
    items: tuple[int, ...] = ()

    @property
    def monomial(self) -> Monomial:
        """The items that are taken."""
        return frozenset(zip(self.decisions, self.items, strict=True))

    def value(self, value: Value) -> Value:
        """A value under these decisions."""
        match value:
            case Var():
                return self.value(settle(value, self.decisions, self.items))
            case Partial(function=function, positional=positional, named=named):
                return Partial(
                    self.value(function),
                    tuple(map(self.value, positional)),
                    tuple((name, self.value(item)) for name, item in named),
                )
            case Compose(stages=stages):
                return Compose(tuple(map(self.value, stages)))
            case Bundle(items=items):
                return Bundle(tuple(map(self.value, items)))
        return value

    def attribute(self, value: Attribute) -> Attribute:
        """A parameter of a primitive under these decisions."""
        return settle(value, self.decisions, self.items)

    def extent(self, extent: Extent) -> Extent:
        """An extent of a shape under these decisions."""
        return settle(extent, self.decisions, self.items)

    def sizes(self, shapes: Sequence[Shape]) -> tuple[tuple[int, ...], ...]:
        """Shapes under these decisions; raises `UndefinedQuantity` where a width is open."""
        return sizes([Shape(tuple(map(self.extent, shape.dims))) for shape in shapes])


def cases(values: Iterable[Value]) -> Iterator[tuple[Monomial, Assigned]]:
    """All joint assignments of the decisions that values depend on."""
    found: dict[str, int] = {}
    for value in values:
        for part in undecided(value):
            found |= dict(zip(part.decisions, part.sizes, strict=True))
    total = 1
    for size in found.values():
        total *= size
    if total > MOST:
        raise UndefinedQuantity(f"there are too many joint cases of {', '.join(found)}")
    for items in product(*(range(size) for size in found.values())):
        assigned = Assigned(tuple(found), items)
        yield assigned.monomial, assigned


def undecided(value: Value) -> Iterator[Var[Value]]:
    """The undecided values inside a value."""
    match value:
        case Var(values=values):
            yield value
            for item in values:
                yield from undecided(item)
        case Partial(function=function, positional=positional, named=named):
            for item in (function, *positional, *(item for _, item in named)):
                yield from undecided(item)
        case Compose(stages=items) | Bundle(items=items):
            for item in items:
                yield from undecided(item)


def primitive(price: Price, op: Operator, inputs: Sequence[Shape], output: Shape, assigned: Assigned) -> Amount:
    """The price of a primitive under decisions."""
    if isinstance(op, Unavailable):
        raise UndefinedQuantity(f"what the plugin '{op.called}' costs is not known: {op.remedy}")
    decided = op.map(assigned.attribute)
    return price.primitive(decided, Application.of(decided, assigned.sizes(inputs), assigned.sizes([output])[0]))


def operation(
    price: Price, block: Block, inputs: Sequence[Shape], output: Shape, assigned: Assigned, inside: Terms
) -> Amount:
    """The price of an operation under decisions: as a whole, else of what it is made of."""
    attrs = {name: assigned.value(value) for name, value in params_of(block).items()}
    found = price.operation(Application(block.name, attrs, assigned.sizes(inputs), assigned.sizes([output])[0]))
    if found is not None:
        return found
    taken = assigned.monomial
    return sum(value for monomial, value in inside.items() if monomial <= taken)


def _dims(shapes: Sequence[Shape]) -> list[Value]:
    return [dim for shape in shapes for dim in shape.dims]


class _Walk:
    """One quantity of one architecture, node by node."""

    def __init__(self, costing: Costing, price: Price, chosen: Selection) -> None:
        self.costing, self.price, self.chosen = costing, price, chosen
        paths = [path for path in chosen if len(chosen[path]) == 1]
        self.assigned = Assigned(tuple(paths), tuple(chosen[path][0] for path in paths))
        self._blocks: dict[int, Amount] = {}

    def block(self, block: Block) -> Amount:
        if id(block) not in self._blocks:
            graph, text = block.graph, self.costing.text(block)
            chosen = dict(self.chosen)
            prune = self.costing.prunes(block)
            gone = absent(graph, chosen) if prune else set()
            there = self.costing.conditions.existing(graph, text, chosen, gone, prune)
            total: Amount = 0
            for index, node in graph.order():
                if index in there:
                    total += self.node(graph, index, node, there)
            self._blocks[id(block)] = total
        return self._blocks[id(block)]

    def node(self, graph: SpaceGraph, index: int, node: Node, there: set[int]) -> Amount:
        kept = [source for source in graph.sources(index) if source in there]
        inputs = [graph.node(source).shape for source in kept]
        match node.payload:
            case Call(block=block):
                inside = self.block(block)
                if self.price.prices_operation(block.name) and block.level == "op":
                    inside = operation(self.price, block, inputs, node.shape, self.assigned, {ALWAYS: inside})
                return self.price.applied(block.name) + inside
            case Prim(name=name) if self.price.of_structure:
                return self.price.applied(name)
            case Prim(op=op) if op.gather is Gather.CONCATENATION and len(kept) < len(graph.sources(index)):
                raise UndefinedQuantity(f"'{node.name}' joins as many channels as are picked")
            case Prim(op=op):
                total = self.price.applied(op.called)
                total += primitive(self.price, op, inputs, node.shape, self.assigned)
                if op.gather is Gather.SUM:
                    total += len(kept) * self.price.addend(self.assigned.sizes([node.shape])[0])
                return total
            case Weigh():
                return self.price.picked()
        return 0
