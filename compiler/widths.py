"""Open widths: `open` leaves a number of channels to be solved from who reads the tensor. No torch.

A concatenation of a fixed width shares it out among its inputs as evenly as it can, the first ones taking one more;
what follows the width of its input demands its own; a `cut` takes the first channels of anything that has enough.
This is how NAS-Bench-101 sizes the vertices of a cell (Ying et al., ICML 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .graph import Input, Prim, SpaceGraph
from .symbolic import Open

CHANGING = frozenset({"conv", "rect_conv", "linear", "patches", "zero"})
"""Primitives with a width of their own: where it is a plain number, it says nothing of what they read."""


class Unsolvable(Exception):
    """The readers of a tensor demand different widths of it, or none."""


@dataclass(frozen=True)
class Application:
    """A primitive of a discrete network; ``width`` is its number of channels, None where it is open."""

    name: str
    primitive: str
    sources: tuple[int, ...]
    width: int | None


def open_widths(network: Mapping[int, Application]) -> dict[int, int]:
    """The widths of those applications that are open; indices are in topological order.

    Raises:
        Unsolvable: naming the tensor.
    """
    widths = {index: item.width for index, item in network.items()}
    demands: dict[int, set[int]] = {}
    atleast: dict[int, int] = {}
    for index in sorted(network, reverse=True):
        item = network[index]
        if item.width is None:
            widths[index] = _agreed(item.name, demands.get(index, set()), atleast.get(index, 0))
        width = widths[index]
        open_ = [source for source in item.sources if network[source].width is None]
        if item.primitive == "concat" and open_ and width is not None:
            fixed = sum(network[source].width or 0 for source in item.sources)
            each, more = divmod(width - fixed, len(open_))
            for position, source in enumerate(open_):
                demands.setdefault(source, set()).add(each + (position < more))
        elif item.primitive == "cut" and width is not None:
            atleast.update((source, max(width, atleast.get(source, 0))) for source in open_)
        elif width is not None and (item.width is None or item.primitive not in CHANGING):
            for source in open_:
                demands.setdefault(source, set()).add(width)
    return _forward(network, widths)


def largest_widths(graph: SpaceGraph) -> dict[int, int]:
    """The most that each open width of a flat graph can be: as many channels as its readers bear; by node."""
    nodes = list(graph.order())
    widths = {index: None if isinstance(node.shape.c, Open) else node.shape.largest[0] for index, node in nodes}
    found: dict[int, int] = {}
    for index, node in reversed(nodes):
        width, prim = widths[index] or found.get(index), node.payload.name if isinstance(node.payload, Prim) else ""
        if width is not None and (widths[index] is None or prim not in CHANGING):
            for source in graph.sources(index):
                if widths[source] is None:
                    found[source] = max(width, found.get(source, 0))
    for index, node in nodes:
        if widths[index] is None and index not in found and not isinstance(node.payload, Input):
            inputs = [widths[source] or found[source] for source in graph.sources(index)]
            joins = isinstance(node.payload, Prim) and node.payload.name == "concat"
            found[index] = sum(inputs) if joins else inputs[0]
    return found


def _agreed(name: str, demands: set[int], atleast: int) -> int | None:
    """What all readers can do with; None where none cares."""
    if len(demands) > 1 or (demands and min(demands) < atleast):
        wanted = sorted({*demands, atleast} - {0})
        raise Unsolvable(f"'{name}' is open, and would need {' and '.join(map(str, wanted))} channels at once")
    width = min(demands) if demands else atleast
    if demands and width < 1:
        raise Unsolvable(f"'{name}' is open, and nothing is left for it")
    return width or None


def _forward(network: Mapping[int, Application], widths: dict[int, int | None]) -> dict[int, int]:
    """What no reader decides follows its inputs."""
    found: dict[int, int] = {}
    for index in sorted(network):
        item = network[index]
        if item.width is not None:
            continue
        width = widths[index]
        if width is None:
            inputs = [widths[source] or 0 for source in item.sources]
            width = widths[index] = sum(inputs) if item.primitive == "concat" else inputs[0] if inputs else None
        if not width:
            raise Unsolvable(f"'{item.name}' is open, and nothing says how wide it is")
        found[index] = width
    return found
