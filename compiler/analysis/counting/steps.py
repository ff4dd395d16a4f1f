"""The nodes of a text in one list, in an order in which few of them are open at a time.

A sum or a concatenation reads what may not exist by way of a `Link`, which says whether it does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.decision import Decision
from compiler.ir.existence import Existence, apply_rule, gathers
from compiler.ir.graph import Block, Call, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.quantities import Total
from compiler.ir.sums import Item, Sum, Sums


@dataclass(frozen=True)
class Output:
    """The output of a text, after all its nodes."""


@dataclass(frozen=True)
class Link:
    """The edge from a tensor that may not exist to a sum or a concatenation."""


Payload: TypeAlias = "Input | Prim | Mix | Weigh | Sum | Sums | Item | Block | Link | Output"


@dataclass(frozen=True)
class Step:
    """A node of a text, or of an operation in it; ``sources`` are positions of earlier steps."""

    payload: Payload
    sources: tuple[int, ...]

    @property
    def decisions(self) -> frozenset[str]:
        """The decisions that it reads itself."""
        match self.payload:
            case Prim(op=op):
                return op.decisions
            case Mix(decisions=decisions):
                return frozenset(decisions)
            case Weigh(decision=decision):
                return frozenset([decision])
        return frozenset()

    @property
    def copy(self) -> Block | None:
        """The copy that it is an instance of."""
        return self.payload if isinstance(self.payload, Block) and self.payload.copy is not None else None

    @property
    def gathers(self) -> bool:
        """Whether it skips those of its sources that do not exist."""
        return gathers(self.payload)

    def grows(self, total: Total) -> bool:
        """Whether a structural quantity grows by one where it exists."""
        match self.payload:
            case Weigh():
                return total.argument is None
            case Prim(op=applied) | (Block() as applied):
                return total.argument is not None and total.counts(applied)
        return False


def steps_of(graph: SpaceGraph, every: bool = False, places: dict[int, int] | None = None) -> list[Step]:
    """The nodes of a graph, sources first and the output last; copies stay closed. ``places`` gets where each went.

    Operations are opened where that can matter: where they hold a choice or a copy, join tensors, or in ``every`` case.
    """
    steps: list[Step] = []
    plain: dict[int, bool] = {}

    def closed(block: Block) -> bool:
        if id(block) not in plain:
            parts = (node.payload for _, node in block.graph.order())
            plain[id(block)] = len(block.graph.inputs) == 1 and all(
                closed(part.block) if isinstance(part, Call) else not Step(part, ()).decisions for part in parts
            )
        return block.copy is None and plain[id(block)]

    def add(payload: Payload, sources: tuple[int, ...]) -> int:
        steps.append(Step(payload, sources))
        return len(steps) - 1

    def visit(graph: SpaceGraph, inputs: Sequence[int] | None) -> int:
        at: dict[int, int] = {}
        for index, node in graph.order():
            sources = tuple(at[source] for source in graph.sources(index))
            match node.payload:
                case Input(index=slot) if inputs is not None:
                    at[index] = inputs[slot]
                case Call(block) if block.copy is None and (every or not closed(block)):
                    at[index] = add(block, (visit(block.graph, sources),))
                case Call(block):
                    at[index] = add(block, sources)
                case payload:
                    at[index] = add(payload, sources)
        if inputs is None and places is not None:
            places.update(at)
        assert graph.output is not None
        return at[graph.output]

    add(Output(), (visit(graph, None),))
    return steps


def inside(block: Block) -> Iterator[Step]:
    """All steps of a copy and of the copies in it."""
    for step in steps_of(block.graph):
        yield step
        if step.copy is not None:
            yield from inside(step.copy)


# ---------------------------------------------------------------- their order


def linked(steps: Sequence[Step], decisions: Mapping[str, Decision], places: dict[int, int]) -> list[Step]:
    """The steps with a `Link` wherever a sum or a concatenation reads a step that may not exist."""
    found: list[Step] = []
    sure: list[bool] = []
    at: list[int] = []

    def add(step: Step) -> int:
        found.append(step)
        sure.append(exists_surely(step, sure, decisions))
        return len(found) - 1

    for step in steps:
        sources = tuple(at[source] for source in step.sources)
        if step.gathers:
            loose = [s for s in dict.fromkeys(sources) if not sure[s] and not isinstance(found[s].payload, Weigh)]
            links = {source: add(Step(Link(), (source,))) for source in loose}
            sources = tuple(links.get(source, source) for source in sources)
        at.append(add(Step(step.payload, sources)))
    places.update({node: at[place] for node, place in places.items()})
    return found


def exists_surely(step: Step, sure: Sequence[bool], decisions: Mapping[str, Decision]) -> bool:
    """Whether a step exists wherever it is read; ``sure`` says so of the steps before it."""
    return apply_rule(step.payload, [sure[source] for source in step.sources], _Surely(decisions))


@dataclass(frozen=True)
class _Surely(Existence):
    """The rule of existence over all ways to decide: whether a node exists under each of them."""

    decisions: Mapping[str, Decision]

    def candidate(self, payload: Weigh, source: bool) -> bool:
        """A pick that has to take something takes enough of the candidates that exist."""
        return self.decisions[payload.decision].least > 0

    def mixture(self, payload: Mix, sources: Sequence[bool]) -> bool:
        """Any item may be selected."""
        return all(sources)


def depth_first(steps: Sequence[Step], places: dict[int, int]) -> list[Step]:
    """The steps so that, from the last one back, each is met soon after the last of its readers."""
    unmet = Counter(source for step in steps for source in set(step.sources))
    pending = [index for index in range(len(steps)) if not unmet[index]]
    order: list[int] = []
    while pending:
        index = pending.pop()
        order.append(index)
        for source in sorted(set(steps[index].sources)):
            unmet[source] -= 1
            if not unmet[source]:
                pending.append(source)
    at = {index: len(steps) - 1 - rank for rank, index in enumerate(order)}
    places.update({node: at[place] for node, place in places.items()})
    return [Step(steps[index].payload, tuple(at[s] for s in steps[index].sources)) for index in reversed(order)]
