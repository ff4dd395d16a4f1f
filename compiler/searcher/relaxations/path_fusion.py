"""Sums of terms in the architectures of a space: the lines that end in a norm, by `passes.chain`.

The C++ kernel computes each sum in one call. Most lines of a drawn architecture were in earlier ones, so that a line is
looked at once and remembered by its operations and by the value that it starts from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from compiler.backend.fused import kernel
from compiler.backend.fused.algebra import weighted_sums
from compiler.backend.fused.modules import is_plain_torch, modules_of, operation_by_operation
from compiler.backend.fused.operands import parameters_of
from compiler.backend.fused.plan import SumPlan, plan_of
from compiler.backend.passes.chain import chain, is_free, looks_into, weigh
from compiler.backend.torch_modules.running_statistics import uses_batch
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.shape import Shape
from compiler.ir.sums import Sum

from .path_program import Call, DrawnShare, PathProgram, in_order


@dataclass(frozen=True, kw_only=True)
class Opaque(Operator):
    """A stand-in for a value that is there when a line starts: it has no trait that a pass could use."""

    name: ClassVar[str] = "opaque"
    arity: ClassVar[int | None] = None


OPAQUE = Prim(Opaque())

REMEMBERED = 20_000
"""How many nodes of lines are remembered before all are forgotten."""


@dataclass(frozen=True)
class FusedSum:
    """A sum of terms by the kernel; where that cannot run, its operations one by one.

    Called with the distinct sources of its terms, (n, c, h, w) each, and the weights of those that have one, (terms),
    it gives (n, c', h', w').
    """

    plan: SumPlan
    parts: tuple[nn.Module, ...]

    def __call__(self, *sources: Tensor, mixing: Tensor | None = None) -> Tensor:
        """The sum of the terms."""
        mixing = None if mixing is None else mixing.to(sources[0].dtype)
        modules = modules_of((self.plan,), self.parts)
        parameters = parameters_of(modules)
        runs = kernel.can_run(sources[0]) and all(
            uses_batch(part) for part in self.parts if isinstance(part, nn.BatchNorm2d)
        )
        if not runs or is_plain_torch(sources, parameters):
            return operation_by_operation(self.plan, modules, mixing, sources)
        (result,) = weighted_sums((self.plan,), modules, mixing, sources, parameters)
        return result


class Fusion:
    """The programs of the architectures of a space, with sums of terms instead of the operations that these compute.

    What no sum may take in runs as it is, and is where lines start: what is smaller than it was built, and so reads
    slices of parameters, and what is passed through a weight.

    Args:
        nodes: those of the space's flat graph, by the index of a step.
        modules: the modules of primitives as they were built, by the names of their nodes.
    """

    def __init__(self, nodes: Sequence[Node], modules: Mapping[str, nn.Module]) -> None:
        self.nodes, self.modules = nodes, modules
        self.slots: dict[str, int] = {}
        """The slot of the value of each node, by name."""
        self.names: list[str] = []
        self.forget()

    def forget(self) -> None:
        """Forget the lines of earlier architectures, which changes no result."""
        self.graph = SpaceGraph()
        self._starts: dict[tuple[int, Shape], int] = {}
        self._known: dict[tuple[int, tuple[int, ...]], tuple[int, Call]] = {}
        self._free: set[int] = set()

    def program(self, calls: Mapping[str, Call], inputs: Iterable[int], output: int) -> PathProgram:
        """The program of an architecture.

        Args:
            calls: its operations in order, by the names of their nodes.
            inputs: the nodes of its inputs.
            output: the node of its output.
        """
        if len(self.graph) > REMEMBERED:
            self.forget()
        now = {index: self._slot(self.nodes[index].name) for index in inputs}
        payloads = {now[index]: self.nodes[index].payload for index in inputs}
        shapes = {now[index]: self.nodes[index].shape for index in inputs}
        flat: list[tuple[str, Call, tuple[int, ...]]] = []
        for name, call in calls.items():
            flat.append((name, call, tuple(now[source] for source in call.sources)))
            now[call.at] = self._slot(name)
        readers = Counter(source for _, _, sources in flat for source in sources)
        readers[now[output]] += 1
        lines: dict[int, int] = {}
        made: list[Call] = []
        for name, call, sources in flat:
            slot = self.slots[name]
            shapes[slot] = Shape(call.step.shape)
            if is_whole(call) or call.weights:
                read = tuple(self._read(call, each, shapes[each], lines.get(each), readers[each]) for each in sources)
                lines[slot], ready = self._line(name, call, read)
                made.append(ready)
            else:
                made.append(Call(slot, call.step, call.run, sources))
        places = {slot: payload.index for slot, payload in payloads.items() if isinstance(payload, Input)}
        return PathProgram(places, in_order(needed(made, now[output]), now[output]), now[output])

    def _slot(self, name: str) -> int:
        """The slot of the value of a node."""
        if name not in self.slots:
            self.slots[name] = len(self.names)
            self.names.append(name)
        return self.slots[name]

    def _read(self, call: Call, slot: int, shape: Shape, line: int | None, readers: int) -> int:
        """The node of the graph that a call reads: that of a line, or one for a value that lines start from."""
        if line is not None and (
            line in self._free or (readers == 1 and looks_into(call.step.payload, self.graph.node(line)))
        ):
            return line
        if (slot, shape) not in self._starts:
            self._starts[slot, shape] = self.graph.add(Node(self.names[slot], OPAQUE, shape))
        return self._starts[slot, shape]

    def _line(self, name: str, call: Call, sources: tuple[int, ...]) -> tuple[int, Call]:
        """The node of the graph that has the value of an operation, and the call that computes it."""
        key = self.slots[name], sources
        if key not in self._known:
            node = Node(name, call.step.payload, Shape(call.step.shape))
            if call.weights:
                index = weigh(node, call.weights, sources, self.graph, is_known)
            else:
                index = chain(node, sources, self.graph, is_known)
            if is_free(self.graph, index):
                self._free.add(index)
            self._known[key] = index, self._call(index, call)
        return self._known[key]

    def _call(self, index: int, call: Call) -> Call:
        """The call of a node of the graph, which has the value of an operation."""
        payload, sources = self.graph.node(index).payload, self.graph.sources(index)
        slots = [self.slots[self.graph.node(source).name] for source in sources]
        slot = self.slots[self.graph.node(index).name]
        if not isinstance(payload, Sum) or (call.weights and all(term.is_plain for term in payload.terms)):
            return Call(slot, call.step, call.run, tuple(slots))
        distinct = tuple(dict.fromkeys(slots))
        plan = SumPlan(plan_of(payload, slots, distinct).terms, keep=False, keep_sum=True)
        parts = tuple(self.modules[part.name] for term in payload.terms for part in term.parts)
        weights = tuple(share for term in payload.terms for share in term.weight if isinstance(share, DrawnShare))
        return Call(slot, call.step, FusedSum(plan, parts), distinct, weights=weights)


def is_known(node: Node) -> bool:
    """Whether a node is not a value that is there when a line starts."""
    return node.payload is not OPAQUE


def is_whole(call: Call) -> bool:
    """Whether a call is that of a primitive as it was built, which a sum may take in."""
    return isinstance(call.run, nn.Module) and not call.step.undecided and isinstance(call.step.payload, Prim)


def needed(calls: Sequence[Call], output: int) -> list[Call]:
    """The calls without those that sums compute along."""
    slots = {output}
    found = []
    for call in reversed(calls):
        if call.at in slots:
            slots.update(call.sources)
            found.append(call)
    return found[::-1]
