"""The space graph: what a program elaborates to. Plain data; no torch here.

A `SpaceGraph` is hierarchical: the node of an operation, cell or stage is a `Call` of a `Block`, which has a graph of
its own; equal applications share one block. `flatten` (a pass) inlines them. Choices appear as `Mix` and `Weigh` nodes
that name a `Decision` by its path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from hdas_dsl.sameness import Definition
from hdas_dsl.text.source import NOWHERE, Span

from .payloads import Input, Mix, Prim, Weigh
from .shape import Shape
from .sums import Item, Sum, Sums, describe_sum

if TYPE_CHECKING:
    import networkx as nx


@dataclass(frozen=True, eq=False)
class Block:
    """An operation, cell, stage or network applied to inputs of known shapes.

    ``level`` is ``op``, ``cell``, ``stage`` or ``network``; ``copy`` is the path of its copy; ``params`` are the values
    of its parameters, ``arguments`` the same as text; ``definition`` is its definition, where it has one.
    """

    name: str
    level: str
    copy: str | None
    graph: SpaceGraph
    arguments: tuple[tuple[str, str], ...] = ()
    params: Mapping[str, object] = field(default_factory=dict)
    definition: Definition | None = field(default=None, repr=False)

    @property
    def is_operation(self) -> bool:
        """Whether it is an operation, and no cell, stage or network."""
        return self.level == "op"


@dataclass(frozen=True)
class Call:
    """An instance of a block."""

    block: Block


Payload: TypeAlias = "Input | Prim | Mix | Weigh | Call | Sum | Sums | Item"


@dataclass(frozen=True)
class Node:
    """One tensor of a graph.

    ``name`` is unique in the graph, dotted by line and slot; ``line`` is set where it is a line's value. In a flat
    graph ``scope`` names the cells and stages that it lies in, outermost first, each by its own full name.
    """

    name: str
    payload: Payload
    shape: Shape
    line: str | None = field(default=None, compare=False)
    scope: tuple[str, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)


def is_auxiliary(node: Node) -> bool:
    """Whether a node of a network's own graph belongs to the auxiliary head."""
    return node.name == "aux" or node.name.startswith("aux.")


class SpaceGraph:
    """A graph of tensors, each with the payload and the sources that compute it.

    The ids of nodes count from 0 in topological order, so that an edge always leads to a larger id. A graph only grows
    (`add`); passes make new ones. `nx` is the graph for readers who know networkx: each node has its `Node` as the
    attribute ``node``, and the key of an edge is the input slot of the node that it leads to.

        >>> import networkx as nx
        >>> from compiler.program.compile_file import compile_file
        >>> program, _ = compile_file("net.hsp", text='''hsp 1
        ... network Net(image: [3, 8, 8]) {
        ...   a = image -> conv(3, 4)
        ...   b = image -> conv(1, 4)
        ...   output (a + b) -> classifier(10)
        ... }''')
        >>> graph = program.network.block.graph
        >>> [node.name for _, node in graph.order()]
        ['image', 'a.conv', 'b.conv', 'output.sum', 'output']
        >>> nx.dag_longest_path_length(graph.nx)
        3
        >>> sorted((graph.nx.nodes[source]["node"].name, slot) for source, _, slot in graph.nx.in_edges(3, keys=True))
        [('a.conv', 0), ('b.conv', 1)]
    """

    def __init__(self) -> None:
        self.inputs: list[int] = []
        self.output: int | None = None
        self.aux: int | None = None
        self._nodes: list[Node] = []
        self._sources: list[tuple[int, ...]] = []
        self._readers: list[list[int]] = []
        self._nx: nx.MultiDiGraph | None = None

    def add(self, node: Node, sources: tuple[int, ...] = ()) -> int:
        """Add a node that reads ``sources``, in slot order, which are there already; returns its id."""
        index = len(self._nodes)
        self._nodes.append(node)
        self._sources.append(sources)
        self._readers.append([])
        for source in sources:
            self._readers[source].append(index)
        if isinstance(node.payload, Input):
            self.inputs.append(index)
        self._nx = None
        return index

    def node(self, index: int) -> Node:
        """The node of an id."""
        return self._nodes[index]

    def sources(self, index: int) -> tuple[int, ...]:
        """The nodes that a node reads, in slot order; the same node may come twice."""
        return self._sources[index]

    def readers(self, index: int) -> Sequence[int]:
        """The nodes that read a node, in order, once for each slot; an output of the graph is not a reader."""
        return self._readers[index]

    @property
    def size(self) -> int:
        """How many nodes there are."""
        return len(self._nodes)

    def order(self) -> Iterator[tuple[int, Node]]:
        """All nodes with their ids, sources first."""
        return enumerate(self._nodes)

    @property
    def outputs(self) -> tuple[int, ...]:
        """The output, and the auxiliary one where there is one."""
        return tuple(index for index in (self.output, self.aux) if index is not None)

    def given(self, index: int) -> tuple[int, ...]:
        """The tensors that a node gives: itself, or its sources where it is a network's several outputs."""
        payload = self.node(index).payload
        return self.sources(index) if isinstance(payload, Prim) and payload.op.packs else (index,)

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """The shapes of the outputs; one shape unless the graph is a network of several outputs."""
        return tuple(self.node(each).shape for each in (() if self.output is None else self.given(self.output)))

    def shape_text(self, index: int) -> str:
        """The shape of a node's tensor as text, ``4x8x8``; of several outputs all shapes, ``(4x8x8, 8x4x4)``."""
        shapes = [str(self.node(each).shape) for each in self.given(index)]
        return shapes[0] if len(shapes) == 1 else f"({', '.join(shapes)})"

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def nx(self) -> nx.MultiDiGraph:
        """The graph as a frozen networkx graph, made when it is first asked for: compiling does not need it."""
        if self._nx is None:
            import networkx  # It takes a tenth of a second to import.

            made = networkx.MultiDiGraph()
            made.add_nodes_from((index, {"node": node}) for index, node in self.order())
            for index, sources in enumerate(self._sources):
                made.add_edges_from((source, index, slot) for slot, source in enumerate(sources))
            self._nx = networkx.freeze(made)
        return self._nx

    def name_line(self, index: int, line: str) -> None:
        """Say that a node is the value of a line (the first that it is bound to)."""
        node = self._nodes[index]
        if node.line is None:
            self._nodes[index] = replace(node, line=line)
            self._nx = None

    def without_aux(self) -> SpaceGraph:
        """The same graph without an auxiliary output; the nodes that only it needs stay."""
        graph = SpaceGraph()
        for index, node in self.order():
            graph.add(node, self._sources[index])
        graph.output = self.output
        return graph

    def pretty(self) -> str:
        """The graph as text: one node a line, sources by name."""
        lines = []
        for index, node in self.order():
            sources = ", ".join(self.node(source).name for source in self.sources(index))
            mark = "".join(f" [{word}]" for word, at in (("output", self.output), ("aux", self.aux)) if at == index)
            lines.append(f"{node.name} = {describe(node.payload)}({sources}) : {self.shape_text(index)}{mark}")
        return "\n".join(lines) + "\n"


def operations_of(block: Block) -> int:
    """How many operations a block has once all blocks that it calls are put in their places."""
    known: dict[Block, int] = {}

    def size(block: Block) -> int:
        if block not in known:
            known[block] = sum(
                size(node.payload.block) if isinstance(node.payload, Call) else not isinstance(node.payload, Input)
                for _, node in block.graph.order()
            )
        return known[block]

    return size(block)


def describe(payload: Payload) -> str:
    """A payload in one line: its kind with its parameters or decisions."""
    match payload:
        case Input():
            return "input"
        case Prim(op=op):
            attributes = ", ".join(f"{name}={value}" for name, value in op.attributes)
            return op.called + (f"[{attributes}]" if attributes else "")
        case Mix(decisions=decisions, rows=rows):
            items = ", ".join("+".join("".join(map(str, assignment)) for assignment in row) for row in rows)
            return f"mix[{' * '.join(decisions)}: {items}]"
        case Weigh(decision=decision, index=index):
            return f"weigh[{decision}: {index}]"
        case Call(block=block):
            return f"{block.level} {block.copy or block.name}"
        case Sum():
            return f"sum[{describe_sum(payload)}]"
        case Sums(sums=sums):
            return f"sums[{' | '.join(map(describe_sum, sums))}]"
        case Item(index=index):
            return f"item[{index}]"
