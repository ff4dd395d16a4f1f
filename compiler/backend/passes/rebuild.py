"""Rebuilding a graph node by node: what most passes have in common."""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Prim
from compiler.ir.primitives.roles import (
    BatchNormalisation,
    Corner,
    Pointwise,
    Rectifier,
    Reduction,
    Role,
    Window,
)
from compiler.ir.sums import Part

from .target import Target

Keep = Callable[[Node, tuple[int, ...], SpaceGraph], "int | None"]
"""What becomes of a node, given its new sources and the new graph: its new id, or None for adding it unchanged."""


def rebuild(graph: SpaceGraph, visit: Keep) -> SpaceGraph:
    """Copy a graph, letting ``visit`` replace nodes; then drop what nothing needs any more but the original kept.

    Nodes that no output needed before stay: unread cells exist, and have weights (nothing is pruned by default).
    """
    result = SpaceGraph()
    moved: dict[int, int] = {}
    ends = [index for index, _ in graph.order() if not graph.readers(index) and index not in graph.outputs]
    for index, node in graph.order():
        sources = tuple(moved[source] for source in graph.sources(index))
        made = visit(node, sources, result)
        moved[index] = result.add(node, sources) if made is None else made
    result.output = None if graph.output is None else moved[graph.output]
    result.aux = None if graph.aux is None else moved[graph.aux]
    return without_dead(result, {moved[index] for index in ends})


def without_dead(graph: SpaceGraph, ends: set[int]) -> SpaceGraph:
    """The graph without what neither an output nor one of ``ends`` needs."""
    needed: set[int] = set()
    pending = [*graph.outputs, *graph.inputs, *ends]
    while pending:
        index = pending.pop()
        if index not in needed:
            needed.add(index)
            pending += graph.sources(index)
    result = SpaceGraph()
    moved: dict[int, int] = {}
    for index, node in graph.order():
        if index in needed:
            moved[index] = result.add(node, tuple(moved[source] for source in graph.sources(index)))
    result.output = None if graph.output is None else moved[graph.output]
    result.aux = None if graph.aux is None else moved[graph.aux]
    return result


def part_of(graph: SpaceGraph, index: int) -> Part:
    """The primitive of a node, as a part of another node."""
    node = graph.node(index)
    assert isinstance(node.payload, Prim)
    shapes = tuple(graph.node(source).shape for source in graph.sources(index))
    return Part(node.name, node.scope, node.payload.op, shapes, node.shape)


def reader_counts(graph: SpaceGraph) -> dict[int, int]:
    """How often each node is read, an output of the graph counting as once more."""
    counts = {index: len(graph.readers(index)) for index, _ in graph.order()}
    for index in graph.outputs:
        counts[index] += 1
    return counts


def is_image(node: Node) -> bool:
    """Whether a node is a tensor of decided channels, height and width."""
    return len(node.shape.dims) == 3 and all(isinstance(dim, int) for dim in node.shape.dims)


def role_of(node: Node) -> Role | None:
    """What sums can compute of an image."""
    return node.payload.op.role if isinstance(node.payload, Prim) and is_image(node) else None


def is_norm(node: Node) -> bool:
    """Whether a node is a batch norm."""
    return isinstance(role_of(node), BatchNormalisation)


def is_relu(node: Node) -> bool:
    """Whether a node is a ReLU of an image."""
    return isinstance(role_of(node), Rectifier)


def is_projection(node: Node, target: Target) -> bool:
    """Whether a node is a pointwise convolution: a matrix on the channels of all pixels, or of some for the kernel."""
    role = role_of(node)
    return isinstance(role, Pointwise) and role.stride in ((1, 2) if target.machine.kernel else (1,))


def is_crop(node: Node) -> bool:
    """Whether a node leaves out as many rows at the top of an image as columns at the left."""
    role = role_of(node)
    return isinstance(role, Corner) and role.top == role.left


def is_filter(node: Node, source: Node) -> bool:
    """Whether a node is a depthwise convolution: an image filtered channel by channel."""
    role = role_of(node)
    return isinstance(role, Window) and role.reduction is Reduction.WEIGHTS and role.channels == source.shape.c


def is_pool(node: Node) -> bool:
    """Whether a node is a 3x3 pool of an image, as the kernel has them."""
    role = role_of(node)
    if not isinstance(role, Window) or role.reduction is Reduction.WEIGHTS:
        return False
    return role.k == 3 and role.stride in (1, 2) and role.pad == 1


def is_convolution(part: Part) -> bool:
    """Whether a filter is a depthwise convolution."""
    role = part.op.role
    return isinstance(role, Window) and role.reduction is Reduction.WEIGHTS
