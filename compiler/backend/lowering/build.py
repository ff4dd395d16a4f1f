"""The torch modules of primitives, at their largest."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from compiler.backend.plugins import how_to_allow
from compiler.ir.graph import Node, Part, Prim, Shape, SpaceGraph
from compiler.ir.primitives import Primitive, decided, spec_of
from compiler.ir.undecided import Open
from compiler.util.errors import LoweringError
from compiler.util.gc_pause import uncollected


@uncollected()
def build_modules(graph: SpaceGraph) -> dict[str, nn.Module]:
    """The modules of all primitives with parameters or state, by the nodes' names, built in the order of a flat graph.

    So the values that they start from do not depend on what passes make of the graph.

    Raises:
        LoweringError: where a width is still open.
    """
    modules: dict[str, nn.Module] = {}
    for index, node in graph.order():
        if isinstance(node.payload, Prim):
            spec = spec_of(node.payload)
            if spec is not None and not spec.pure:
                modules[node.name] = build_node(graph, index)
    return modules


def implementation(node: Node, prim: Prim) -> Primitive:
    """The implementation of a node's primitive.

    Raises:
        LoweringError: it is a plugin that is not allowed.
    """
    spec = spec_of(prim)
    if spec is None:
        hint = f"allow it with `{how_to_allow(prim.name)}`"
        raise LoweringError(f"'{node.name}': the plugin '{prim.name}' is not allowed here; {hint}")
    return spec


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
    return _build(implementation(node, node.payload), node.payload, shapes, node.shape)


def build_part(part: Part) -> nn.Module:
    """The module of a part of a sum's term."""
    spec = spec_of(part.prim)
    assert spec is not None, "parts are primitives of the prelude"
    return _build(spec, part.prim, part.inputs, part.shape)


def _build(spec: Primitive, prim: Prim, inputs: Sequence[Shape], output: Shape) -> nn.Module:
    return spec.build(decided(prim.values), [shape.largest for shape in inputs], output.largest)
