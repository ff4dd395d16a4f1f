"""The torch modules of primitives, at their largest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.external import External, Unavailable
from compiler.ir.shape import Shape
from compiler.ir.sums import Part
from compiler.ir.undecided import Open
from compiler.util.errors import LoweringError, UsageError
from compiler.util.gc_pause import uncollected
from compiler.util.memory import physical_memory

from .operators import standalone

NUMBER = 4
"""The bytes of a weight: weights are float32."""


@uncollected()
def build_modules(graph: SpaceGraph) -> dict[str, nn.Module]:
    """The modules of all primitives with parameters or state, by the nodes' names, built in the order of a flat graph.

    So the values that they start from do not depend on what passes make of the graph.

    Raises:
        LoweringError: where a width is still open.
        UsageError: the weights and their gradients are larger than the memory of this machine.
    """
    check_weights_fit(graph)
    modules: dict[str, nn.Module] = {}
    for index, node in graph.order():
        op = node.payload.op if isinstance(node.payload, Prim) else None
        if op is not None and op.available and not op.pure:
            modules[node.name] = build_node(graph, index)
    return modules


def check_weights_fit(graph: SpaceGraph) -> None:
    """Check that the weights of a flat graph and their gradients fit into memory, before any is made.

    Raises:
        UsageError: they do not.
    """
    memory = physical_memory()
    needed = 0
    for index, node in graph.order():
        if isinstance(node.payload, Prim) and node.payload.op.available and not isinstance(node.payload.op, External):
            shapes = [graph.node(source).shape.largest for source in graph.sources(index)]
            needed += NUMBER * node.payload.op.params(shapes, node.shape.largest)
    if memory is not None and 2 * needed > memory:
        has, takes = (f"{size / 2**30:,.0f} GiB" for size in (memory, 2 * needed))
        message = f"the weights of this network and their gradients take {takes} of memory, and this machine has {has}"
        raise UsageError(message)


def allowed(node: Node, op: Operator) -> Operator:
    """The operator of a node.

    Raises:
        LoweringError: it is a plugin that is not allowed.
    """
    if isinstance(op, Unavailable):
        hint = f"allow it with `{op.remedy}`"
        raise LoweringError(f"'{node.name}': the plugin '{op.called}' is not allowed here; {hint}")
    return op


def build_node(graph: SpaceGraph, index: int) -> nn.Module:
    """The module of a node of a flat graph that is a primitive.

    Raises:
        LoweringError: where a width is still open, or the primitive is a plugin that is not allowed.
    """
    node = graph.node(index)
    assert isinstance(node.payload, Prim)
    shapes = [graph.node(source).shape for source in graph.sources(index)]
    if any(isinstance(dim, Open) for shape in (*shapes, node.shape) for dim in shape.dims):
        raise LoweringError(f"'{node.name}' has a width that is still open")
    return _build(allowed(node, node.payload.op), shapes, node.shape)


def build_part(part: Part) -> nn.Module:
    """The module of a part of a sum's term."""
    return _build(part.op, part.inputs, part.shape)


def _build(op: Operator, inputs: Sequence[Shape], output: Shape) -> nn.Module:
    return standalone(op, [shape.largest for shape in inputs], output.largest)
