"""Outlines: what a block does, without what does nothing, as the classes of a Python file will say it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeAlias

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.primitives.structure import Zero
from compiler.ir.shape import Ints

Path: TypeAlias = tuple[int, ...]
"""Where a node is in the hierarchy: its index in each graph on the way down."""

ZERO = Prim(Zero(c=1))
"""The payload of every zero: its shape is the step's, and it reads nothing."""


@dataclass(frozen=True, eq=False)
class Step:
    """One tensor: a primitive or a block applied to values.

    Values are numbered: the inputs of the outline first, then its steps. ``line`` is the name that the program gives
    it, ``called`` the operation as it says it. A cell with a ``state`` is called position after position: that of its
    inputs is what it gave at the one before.
    """

    name: str
    line: str | None
    called: str
    what: Prim | Outline
    sources: tuple[int, ...]
    shapes: tuple[Ints, ...]
    shape: Ints
    path: Path
    state: int | None = None

    @property
    def is_zero(self) -> bool:
        """Whether it gives nothing but zeros."""
        return isinstance(self.what, Prim) and self.what.op.zero


@dataclass(frozen=True, eq=False)
class Outline:
    """A block whose operations of a single step are inlined, and whose idle steps are gone."""

    block: Block
    inputs: tuple[tuple[str, Ints], ...]
    steps: tuple[Step, ...]
    output: int

    @property
    def level(self) -> str:
        """The level of its definition: op, cell, stage or network."""
        return self.block.level

    @property
    def is_operation(self) -> bool:
        """Whether its definition is an operation, and no cell, stage or network."""
        return self.block.is_operation

    @cached_property
    def arguments(self) -> dict[str, str]:
        """Its parameters by name, as they are written."""
        return dict(self.block.arguments)

    @cached_property
    def readers(self) -> dict[int, int]:
        """How often each value is read; the output counts as a reader."""
        count = dict.fromkeys(range(len(self.inputs) + len(self.steps)), 0)
        for step in self.steps:
            for source in step.sources:
                count[source] += 1
        count[self.output] += 1
        return count

    @property
    def is_packed(self) -> bool:
        """Whether its output is several tensors."""
        last = self.steps[self.output - len(self.inputs)].what if self.output >= len(self.inputs) else None
        return isinstance(last, Prim) and last.op.packs

    @cached_property
    def height(self) -> int:
        """How deep blocks are nested in it."""
        return 1 + max((step.what.height for step in self.steps if isinstance(step.what, Outline)), default=0)

    def numbered(self) -> Iterator[tuple[int, Step]]:
        """The steps with the number of their value."""
        yield from enumerate(self.steps, len(self.inputs))


def outline(block: Block) -> Outline:
    """The outline of a block of a discrete network; an auxiliary output and what only it needs are left out."""
    return _Outliner().block(block)


def leaves(graph: SpaceGraph, path: Path = ()) -> Iterator[Path]:
    """The paths of all primitives, in the order in which `passes.flatten` adds them."""
    for index, node in graph.order():
        if isinstance(node.payload, Call):
            yield from leaves(node.payload.block.graph, (*path, index))
        elif not isinstance(node.payload, Input):
            yield (*path, index)


class _Outliner:
    def __init__(self) -> None:
        self.known: dict[Block, Outline] = {}

    def block(self, block: Block) -> Outline:
        if block not in self.known:
            self.known[block] = self.made(block)
        return self.known[block]

    def made(self, block: Block) -> Outline:
        graph = block.graph
        assert graph.output is not None
        inputs = tuple((graph.node(index).name, graph.node(index).shape.largest) for index in graph.inputs)
        steps: list[Step] = []
        values = {index: position for position, index in enumerate(graph.inputs)}

        def add(step: Step) -> int:
            steps.append(step)
            return len(inputs) + len(steps) - 1

        def step_of(value: int) -> Step | None:
            return steps[value - len(inputs)] if value >= len(inputs) else None

        def alias(value: int, node: Node) -> int:
            """Let a value have the line of a node that only passes it on."""
            if (step := step_of(value)) and step.line is None:
                steps[value - len(inputs)] = replace(step, line=node.line)
            return value

        for index, node in graph.order():
            if isinstance(node.payload, Input):
                continue
            sources = tuple(values[source] for source in graph.sources(index))
            shapes = tuple(graph.node(source).shape.largest for source in graph.sources(index))
            if isinstance(node.payload, Prim) and node.payload.op.closes_loop and (loop := step_of(sources[0])):
                at = loop.sources.index(sources[1]) if sources[1] in loop.sources else None
                steps[sources[0] - len(inputs)] = replace(loop, state=at)
            step = self.step(index, node, sources, shapes)
            if isinstance(step, int):
                values[index] = alias(step, node)
                continue
            if isinstance(step.what, Prim) and step.what.op.gather is Gather.SUM:
                kept = [n for n, source in enumerate(sources) if not ((s := step_of(source)) and s.is_zero)]
                if len(kept) == 1:
                    values[index] = alias(sources[kept[0]], node)
                    continue
                step = replace(step, sources=tuple(sources[n] for n in kept), shapes=tuple(shapes[n] for n in kept))
                step = step if kept else replace(step, what=ZERO)
            if step.is_zero:
                step = replace(step, what=ZERO, sources=(0,), shapes=(inputs[0][1],))
            values[index] = add(step)
        return _live(Outline(block, inputs, tuple(steps), values[graph.output]))

    def step(self, index: int, node: Node, sources: tuple[int, ...], shapes: tuple[Ints, ...]) -> Step | int:
        """The step that a node becomes, or the value that it only passes on."""
        shape, path = node.shape.largest, (index,)
        match node.payload:
            case Prim(op=op) if op.identity or op.closes_loop:
                return sources[0]
            case Prim(op=op):
                return Step(node.name, node.line, op.called, node.payload, sources, shapes, shape, path)
            case Call(block=block):
                inner = self.block(block)
                if inner.output < len(inner.inputs):
                    return sources[inner.output]
                if len(inner.steps) == 1 and (inner.is_operation or inner.steps[0].is_zero):
                    only = inner.steps[0]
                    return Step(
                        node.name,
                        node.line,
                        block.name,
                        only.what,
                        tuple(sources[source] for source in only.sources),
                        tuple(shapes[source] for source in only.sources),
                        shape,
                        (*path, *only.path),
                    )
                used = [n for n in range(len(inner.inputs)) if inner.readers[n]]
                kept = tuple(sources[n] for n in used)
                return Step(node.name, node.line, block.name, inner, kept, tuple(shapes[n] for n in used), shape, path)
        raise TypeError(f"'{node.name}' is a choice")


def _live(whole: Outline) -> Outline:
    """Without the steps that the output does not need."""
    first = len(whole.inputs)
    needed: set[int] = set()
    pending = [whole.output]
    while pending:
        value = pending.pop()
        if value not in needed:
            needed.add(value)
            pending += whole.steps[value - first].sources if value >= first else ()
    kept = [*range(first), *sorted(value for value in needed if value >= first)]
    moved = {value: position for position, value in enumerate(kept)}
    steps = [whole.steps[value - first] for value in kept[first:]]
    renumbered = tuple(replace(step, sources=tuple(moved[source] for source in step.sources)) for step in steps)
    return replace(whole, steps=renumbered, output=moved[whole.output])
