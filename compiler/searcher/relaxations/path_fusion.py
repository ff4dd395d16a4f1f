"""Sums of terms in one architecture: the pass `chain`, run on the graph of what was drawn.

An architecture becomes a graph without choices, and the lines that end in a norm become sums in it, which the C++
kernel computes in one call each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor, nn

from compiler.backend.fused import kernel
from compiler.backend.fused.algebra import weighted_sums
from compiler.backend.fused.modules import is_plain_torch, modules_of, operation_by_operation
from compiler.backend.fused.operands import parameters_of
from compiler.backend.fused.plan import SumPlan, plan_of
from compiler.backend.passes.chain import chain
from compiler.backend.torch_modules.running_statistics import uses_batch
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.shape import Shape
from compiler.ir.sums import Sum

from .path_program import Call, PathProgram, in_order


@dataclass(frozen=True, kw_only=True)
class Opaque(Operator):
    """A stand-in for an operation that has to run as it is: it has no trait that a pass could use."""

    name: ClassVar[str] = "opaque"
    arity: ClassVar[int | None] = None


OPAQUE = Prim(Opaque())


@dataclass(frozen=True)
class FusedSum:
    """A sum of terms by the kernel; where that cannot run, its operations one by one.

    Called with the distinct sources of its terms, (n, c, h, w) each, it gives (n, c', h', w').
    """

    plan: SumPlan
    parts: tuple[nn.Module, ...]

    def __call__(self, *sources: Tensor) -> Tensor:
        """The sum of the terms."""
        modules = modules_of((self.plan,), self.parts)
        parameters = parameters_of(modules)
        runs = kernel.can_run(sources[0]) and all(
            uses_batch(part) for part in self.parts if isinstance(part, nn.BatchNorm2d)
        )
        if not runs or is_plain_torch(sources, parameters):
            return operation_by_operation(self.plan, modules, None, sources)
        (result,) = weighted_sums((self.plan,), modules, None, sources, parameters)
        return result


def fused(graph: SpaceGraph, calls: Mapping[str, Call], modules: Mapping[str, nn.Module]) -> PathProgram:
    """The program of an architecture with sums of terms instead of the operations that these compute along.

    Args:
        graph: the architecture, flat and without choices (`graph_of`).
        calls: the operations of its nodes, by name.
        modules: the modules of primitives as they were built, by the names of their nodes.
    """
    made = chain(graph)
    assert made.output is not None
    payloads = {slot: made.node(slot).payload for slot in made.inputs}
    inputs = {slot: payload.index for slot, payload in payloads.items() if isinstance(payload, Input)}
    return PathProgram(inputs, in_order(list(_calls(made, calls, modules)), made.output), made.output)


def graph_of(calls: Mapping[str, Call], nodes: Sequence[Node], inputs: Sequence[int], output: int) -> SpaceGraph:
    """The flat graph that calls compute.

    What the passes must leave as it is, is opaque in it: what is smaller than it was built, and so reads slices of
    parameters, and what is passed through a weight.

    Args:
        calls: in order, by the names of their nodes.
        nodes: those of the space's flat graph, by the index of a step.
        inputs: the slots of the inputs.
        output: that of the output.
    """
    graph = SpaceGraph()
    at = {slot: graph.add(nodes[slot]) for slot in inputs}
    for name, call in calls.items():
        step = call.step
        is_whole = isinstance(call.run, nn.Module) and not step.undecided and isinstance(step.payload, Prim)
        payload = step.payload if is_whole else OPAQUE
        made = Node(name, payload, Shape(step.shape))
        at[call.at] = graph.add(made, tuple(at[source] for source in call.sources))
    graph.output = at[output]
    return graph


def _calls(graph: SpaceGraph, calls: Mapping[str, Call], modules: Mapping[str, nn.Module]) -> Iterator[Call]:
    """The calls of a graph after the passes; slots are its nodes."""
    for index, node in graph.order():
        sources = graph.sources(index)
        match node.payload:
            case Input():
                continue
            case Sum(terms=terms) as total:
                distinct = tuple(dict.fromkeys(sources))
                plan = plan_of(replace(total, keep=False), sources, distinct)
                parts = tuple(modules[part.name] for term in terms for part in term.parts)
                yield Call(index, calls[node.name].step, FusedSum(plan, parts), distinct)
            case _:
                yield replace(calls[node.name], at=index, sources=sources)
