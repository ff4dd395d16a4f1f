"""How wide the open widths of a space can become, whatever is decided."""

from __future__ import annotations

from compiler.ir.existence import gather_of, gathers
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.shape import Extent
from compiler.ir.undecided import Open, largest


def width_bounds(graph: SpaceGraph) -> dict[Open, int]:
    """The most channels that each open width of a flat graph can have: as many as its readers take."""
    found: dict[Open, int] = {}

    def known(width: Extent) -> int | None:
        return found.get(width) if isinstance(width, Open) else int(largest(width))

    def raised(width: Extent, number: int | None) -> bool:
        if not isinstance(width, Open) or number is None or number <= found.get(width, 0):
            return False
        found[width] = number
        return True

    nodes = [(node, [graph.node(source).shape.c for source in graph.sources(index)]) for index, node in graph.order()]
    bounding = [(node.shape.c, widths) for node, widths in reversed(nodes) if _bounds(node)]
    joins = [(node.shape.c, widths) for node, widths in nodes if gather_of(node.payload) is Gather.CONCATENATION]
    changed = True
    while changed:
        changes = [raised(width, known(whole)) for whole, widths in bounding for width in widths]
        if not any(changes):
            # What no reader bounds is a concatenation of all that may be in it.
            totals = [(whole, [known(width) for width in widths]) for whole, widths in joins if known(whole) is None]
            changes = [raised(whole, sum(n or 0 for n in parts)) for whole, parts in totals if None not in parts]
        changed = any(changes)
    return found


def _bounds(node: Node) -> bool:
    """Whether what a node reads is not wider than itself, where that is open."""
    if isinstance(node.payload, Prim):
        return gathers(node.payload) or node.payload.op.slices_channels
    return isinstance(node.payload, Mix | Weigh)
