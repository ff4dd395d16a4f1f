"""Bodies of definitions while they are elaborated, and the copies that they belong to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from math import prod

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.graph import Block, Node, Payload, SpaceGraph
from compiler.ir.payloads import Input
from compiler.ir.quantities import Preference
from compiler.ir.shape import Shape
from hdas_dsl.parse.keywords import KEYWORDS
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name
from hdas_dsl.units import Instance

from .errors import AlreadyReportedError
from .trace import Trace
from .values import Bound, Bundle, Function, Tensor, Unknown, Value


@dataclass(frozen=True)
class FamilySize:
    """Where a family ends: the path of the decision, and the number of elements under each of its items."""

    path: str
    numbers: tuple[int, ...]


@dataclass
class Family:
    """The elements that share a name. ``size`` says where the family ends, if a decision does.

    ``order`` are the indices in the order of their lines, ``places`` their positions in it; ``most`` is the largest
    index of each axis.
    """

    name: str
    elements: dict[tuple[int, ...], Bound] = field(default_factory=dict)
    size: FamilySize | None = None
    order: list[tuple[int, ...]] = field(default_factory=list)
    places: dict[tuple[int, ...], int] = field(default_factory=dict)
    most: tuple[int, ...] = ()

    def add(self, index: tuple[int, ...], value: Bound) -> None:
        """Add an element, or give one another value."""
        if index not in self.places:
            self.places[index] = len(self.order)
            self.order.append(index)
        self.most = tuple(map(max, index, self.most)) if self.most else index
        self.elements[index] = value

    def within(self, axes: Sequence[range]) -> tuple[Value, ...]:
        """The elements whose indices lie in these ranges, one for each axis; what they do not reach takes no time.

        Raises:
            AlreadyReportedError: the line of one has an error.
        """
        if not self.elements:
            return ()
        clipped = [range(max(a.start, 0), min(a.stop, most + 1)) for a, most in zip(axes, self.most, strict=True)]
        if prod(map(len, clipped)) < len(self.elements):
            found = sorted(
                (index for index in product(*clipped) if index in self.elements), key=self.places.__getitem__
            )
        else:
            found = [i for i in self.elements if all(a in axis for a, axis in zip(i, clipped, strict=True))]
        return Family(self.name, {index: self.elements[index] for index in found}).values()

    def values(self) -> tuple[Value, ...]:
        """All elements.

        Raises:
            AlreadyReportedError: the line of one has an error.
        """
        return self.last(len(self.elements))

    def last(self, count: int) -> tuple[Value, ...]:
        """As many elements from the end as hold ``count`` values; a bundle may hold none.

        Raises:
            AlreadyReportedError: the line of one has an error.
        """
        found: list[Value] = []
        for value in reversed(self.elements.values()):
            if count <= 0:
                break
            if isinstance(value, Unknown):
                raise AlreadyReportedError
            found.append(value)
            count -= not isinstance(value, Bundle)
        return tuple(reversed(found))


@dataclass(eq=False)
class BodyElaboration:
    """One elaboration of the body of a definition: an activation record, and afterwards the account of it.

    Attributes:
        definition: what is elaborated, in the file ``instance``.
        copy: the path of the copy that decisions belong to; inside an operation, that of the caller.
        level: ``op``, ``cell``, ``stage`` or ``network``.
        relaxed: whether this is the relaxed variant; ``reads_relaxed``: whether anything in it asked.
        root: whether it is the network's own body, or an operation right inside of it.
        bindings: inputs, parameters and lines, by name; ``families``: the elements that share a name.
        fields: the where-names of each element, by the element's name.
        decisions: the paths of its decisions, in order; ``grammars``: those of its mentions of grammars.
        prune: whether the body says so.
        graph: the nodes made so far; ``undecided``: the decision of each that stands for an undecided operation and
            is not a mixture: it works on a share of the channels, or something is added.
        trace: what each expression was.
        results: what the names of phases stand for where a section speaks of this body, which none of its lines can.
    """

    definition: ast.Definition
    instance: Instance
    copy: str
    level: str
    relaxed: bool
    root: bool = False
    trace: Trace[Value] = field(default_factory=Trace)
    reads_relaxed: bool = False
    bindings: dict[str, Bound] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    fields: dict[str, Mapping[str, Value]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    """How often each path and label was wanted: the second gets a number."""
    names: dict[str, int] = field(default_factory=dict)
    """How often each name of a node was wanted."""
    graph: SpaceGraph = field(default_factory=SpaceGraph)
    mentions: dict[tuple[str, str], ast.Node] = field(default_factory=dict)
    """The first mention of each menu by name, by line and name."""
    decisions: list[str] = field(default_factory=list)
    grammars: list[str] = field(default_factory=list)
    preferences: list[Preference] = field(default_factory=list)
    preferred: dict[str, int] = field(default_factory=dict)
    """How often each name of a preference was wanted."""
    prune: bool = False
    undecided: dict[int, str] = field(default_factory=dict)
    results: Mapping[str, Instance] = field(default_factory=dict)

    @property
    def is_operation(self) -> bool:
        """Whether this is the body of an operation, which holds no decision."""
        return self.level == "op"

    def unique(self, name: str, table: dict[str, int]) -> str:
        """The name, numbered where it was wanted before."""
        table[name] = table.get(name, 0) + 1
        return name if table[name] == 1 else self.unique(f"{name}_{table[name]}", table)

    def fresh_label(self, place: str) -> str:
        """The label of a copy for one place alone, by its name: a name of the language, and not one that is written.

        An operation has no copies of its own, and its name says whose line it is.
        """
        name = place.replace(".", "_")
        name = f"{self.definition.name}_{name or 'output'}" if self.is_operation else name
        name = f"{name}_line" if name in KEYWORDS else name
        label = self.unique(name, self.used)
        while label in self._labels:
            label = self.unique(name, self.used)
        return label

    @cached_property
    def _labels(self) -> frozenset[str]:
        """The names that the text has behind an `@`."""
        copies = (node for node in self.definition.walk() if isinstance(node, ast.Copy))
        return frozenset(copy.label.id for copy in copies if isinstance(copy.label, ast.Name))

    def add(
        self, name: str, payload: Payload, shape: Shape, sources: Sequence[Tensor], span: Span, line: str | None = None
    ) -> Tensor:
        """A new node of the graph."""
        node = Node(self.unique(name.strip("."), self.names), payload, shape, line, span=span)
        index = self.graph.add(node, tuple(source.index for source in sources))
        return Tensor(self.graph, index, shape)

    def add_input(self, index: int, param: ast.Param, shape: Shape) -> None:
        """A node for an input, which its name is bound to."""
        made = self.add(param.name, Input(index), shape, (), param.span, line=param.name)
        self.bindings[param.name] = Tensor(self.graph, made.index, shape, param.name)

    def bound(self) -> Iterator[tuple[str, Bound]]:
        """Every input, parameter, line and element of a family, by its name."""
        yield from self.bindings.items()
        for family in self.families.values():
            yield from ((element_name(family.name, index), value) for index, value in family.elements.items())

    def tensor_lines(self) -> dict[str, int]:
        """The node of every line and element that is a tensor, by name; inputs are none."""
        found = dict(self.bound())
        inputs = () if isinstance(self.definition, ast.MenuDef) else self.definition.inputs
        for param in inputs:
            found.pop(param.name, None)
        return {name: value.index for name, value in found.items() if isinstance(value, Tensor)}


def body_of(
    function: Function, inputs: Sequence[Tensor], copy: str, level: str, relaxed: bool, trace: Trace[Value]
) -> BodyElaboration:
    """A new body whose inputs have the shapes of the given tensors."""
    body = BodyElaboration(function.definition, function.instance, copy, level, relaxed, trace=trace)
    for index, (param, tensor) in enumerate(zip(function.definition.inputs, inputs, strict=True)):
        body.add_input(index, param, tensor.shape)
    return body


@dataclass(eq=False)
class Copy:
    """A copy of a definition: its decisions, once, and the first body that was elaborated of it.

    ``bodies`` are those of all its instances, each by the block that it gave.
    """

    path: str
    definition: ast.GraphDef
    instance: Instance
    body: BodyElaboration
    formula: Product
    block: Block
    span: Span
    owner: str | None = None
    bodies: dict[Block, BodyElaboration] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bodies[self.block] = self.body

    @property
    def live(self) -> bool:
        """Whether it still has a choice of its own."""
        return bool(self.body.decisions or self.body.grammars)
