"""Operations of a space under an equivalence: compared by name and numbers, the identity, a zero, or opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from compiler.elaborate import Elaborated
from compiler.ir.existence import Alternatives, alternatives
from compiler.ir.graph import Block, Call, Payload, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Operator
from compiler.ir.undecided import Open, Var, is_plain

from .terms import Constant, Label, Variable

Role: TypeAlias = "Constant | int | None"
"""The role of an operation in an equivalence: a constant, the input of this slot unchanged, or (None) itself."""


@dataclass(frozen=True, eq=False)
class Step:
    """A node of a graph; ``what`` it applies with ``params``, where it is one operation.

    ``under`` has the items under which it reads each of its sources.
    """

    payload: Payload
    sources: tuple[int, ...]
    under: tuple[Alternatives, ...]
    what: object = None
    params: Mapping[str, object] = field(default_factory=dict)
    role: Role = None
    keeps_zero: bool = False

    @cached_property
    def label(self) -> Label | None:
        """The label, unless it depends on decisions."""
        if any(isinstance(value, Var) for value in self.params.values()):
            return None
        return (self.what, *((name, _told(value)) for name, value in self.params.items()))


@dataclass(eq=False)
class Operations:
    """The operations of a space.

    An operation is opened, and compared by what it does, only where definitions were handed to it.

    Args:
        space: the space.
        copies: the variable of each copy that is compared by itself, by path.
    """

    space: Elaborated
    copies: Mapping[str, Variable]
    _steps: dict[int, tuple[SpaceGraph, dict[int, Step]]] = field(default_factory=dict)
    _lines: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def is_plain(self, block: Block) -> bool:
        """Whether its name and numbers identify an operation: no definition was handed to it, no copy is in it."""
        if any(not is_plain(value) for value in block.params.values()):
            return False
        known = {name for value in block.params.values() if isinstance(value, Var) for name in value.decisions}
        return all(not self.is_copy(inner) for inner in blocks_in(block.graph)) and decisions_in(block.graph) <= known

    def name(self, block: Block) -> str:
        """The name of an operation, or of a cell without choices: that of its definition, whatever its label."""
        copy = self.space.copies.get(block.copy or "")
        return block.name if copy is None else f"{copy.definition.copy} of {copy.instance.unit.source.name}"

    def role(self, payload: Payload) -> Role:
        """The role of an operation as a whole."""
        if not isinstance(payload, Call):
            return role_of(payload.op) if isinstance(payload, Prim) else None
        graph = payload.block.graph
        assert graph.output is not None
        return None if self.is_copy(payload.block) or decisions_in(graph) else _role(graph, graph.output)

    def steps(self, graph: SpaceGraph) -> dict[int, Step]:
        """The nodes of a graph as steps, made once for all architectures."""
        found = self._steps.get(id(graph))
        if found is None:
            steps = {index: self.step(graph, index) for index, _ in graph.order()}
            # The graph is kept along, or its id could be another's later.
            found = self._steps[id(graph)] = graph, steps
        return found[1]

    def lines(self, graph: SpaceGraph) -> tuple[int, ...]:
        """The nodes that are values of lines."""
        if id(graph) not in self._lines:
            nodes = ((i, node) for i, node in graph.order() if node.line and not isinstance(node.payload, Input))
            self._lines[id(graph)] = tuple(index for index, _ in nodes)
        return self._lines[id(graph)]

    def step(self, graph: SpaceGraph, index: int) -> Step:
        """The step of a node."""
        payload, sources = graph.node(index).payload, graph.sources(index)
        under = tuple(alternatives(payload, slot, graph.node(source).payload) for slot, source in enumerate(sources))
        what: object = None
        params: Mapping[str, object] = {}
        match payload:
            case Prim(op=op) if not op.commutative:
                what, params = op.called, dict(op.attributes)
            case Call(block=block) if self.is_copy(block) or self.is_plain(block):
                what, params = self.copies.get(block.copy or "", self.name(block)), block.params
            case _:
                return Step(payload, sources, under)
        return Step(payload, sources, under, what, params, self.role(payload), keeps_zero(payload))

    def is_copy(self, block: Block) -> bool:
        """Whether a block is a copy with choices of its own."""
        return block.copy is not None and block.copy in self.copies


def _told(value: object) -> object:
    """A parameter in a label; open widths are equal in it, since they follow from the graph."""
    return "open" if isinstance(value, Open) else value if is_plain(value) else None


def blocks_in(graph: SpaceGraph) -> Iterator[Block]:
    """All blocks in a graph, at any depth."""
    for _, node in graph.order():
        if isinstance(node.payload, Call):
            yield node.payload.block
            yield from blocks_in(node.payload.block.graph)


def decisions_in(graph: SpaceGraph, closed: Callable[[Block], bool] = lambda _: False) -> set[str]:
    """All decisions that a graph reads, at any depth but not inside blocks that are ``closed``."""
    found: set[str] = set()
    for _, node in graph.order():
        match node.payload:
            case Mix(decisions=names):
                found.update(names)
            case Weigh(decision=name):
                found.add(name)
            case Prim(op=op):
                found |= op.decisions
            case Call(block=block):
                found |= set() if closed(block) else decisions_in(block.graph, closed)
                found.update(n for v in block.params.values() if isinstance(v, Var) for n in v.decisions)
    return found


def role_of(op: Operator) -> Role:
    """The role of a primitive."""
    return Constant.ZERO if op.zero else 0 if op.identity else None


def _role(graph: SpaceGraph, index: int) -> Role:
    node, sources = graph.node(index), graph.sources(index)
    match node.payload:
        case Input(index=slot):
            return slot
        case Prim(op=op) if op.slices_channels and node.shape == graph.node(sources[0]).shape:
            return _role(graph, sources[0])
        case Prim(op=op):
            role = role_of(op)
            return _role(graph, sources[role]) if isinstance(role, int) else role
        case Call(block=block):
            assert block.graph.output is not None
            role = _role(block.graph, block.graph.output)
            return _role(graph, sources[role]) if isinstance(role, int) else role
    return None


def keeps_zero(payload: Payload) -> bool:
    """Whether an operation makes zeros of zeros."""
    match payload:
        case Prim(op=op):
            return op.preserves_zero
        case Call(block=block):
            return all(keeps_zero(node.payload) for _, node in block.graph.order())
    return isinstance(payload, Input)
