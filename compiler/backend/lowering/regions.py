"""The regions of a flat graph: its cells, stages and the network, nested; each becomes a module of its own."""

from __future__ import annotations

from dataclasses import dataclass, field

import networkx as nx

from compiler.ir.graph import SpaceGraph

from .names import attribute


@dataclass(eq=False)
class Region:
    """The nodes of one cell, stage or network, and the regions directly inside."""

    scope: tuple[str, ...]
    items: list[int | Region] = field(default_factory=list)

    def nodes(self) -> set[int]:
        """All nodes in it, at any depth."""
        found: set[int] = set()
        for item in self.items:
            found |= nodes_of(item)
        return found

    def leaves(self) -> list[Region]:
        """The regions in it, or itself, that have none inside: cells, as a rule."""
        inner = [item for item in self.items if isinstance(item, Region)]
        return [leaf for region in inner for leaf in region.leaves()] if inner else [self]

    @property
    def name(self) -> str:
        """The name of its module in the module around it."""
        return attribute(self.scope[-1].removeprefix(self.outer)) if self.scope else ""

    @property
    def outer(self) -> str:
        """The prefix of the full names of what lies directly around it."""
        return f"{self.scope[-2]}." if len(self.scope) > 1 else ""

    @property
    def inner(self) -> str:
        """The prefix of the full names of its own nodes."""
        return f"{self.scope[-1]}." if self.scope else ""


def nodes_of(item: int | Region) -> set[int]:
    """A node alone, or all nodes of a region."""
    return {item} if isinstance(item, int) else item.nodes()


def regions_of(graph: SpaceGraph) -> Region:
    """The tree of regions, items in the order of their first node."""
    root = Region(())
    known: dict[tuple[str, ...], Region] = {(): root}

    def at(scope: tuple[str, ...]) -> Region:
        if scope not in known:
            known[scope] = Region(scope)
            at(scope[:-1]).items.append(known[scope])
        return known[scope]

    for index, node in graph.order():
        at(node.scope).items.append(index)
    return root


def in_order(region: Region, graph: SpaceGraph) -> list[int | Region]:
    """Own nodes and inner regions, sources first, otherwise in their order."""
    where: dict[int, int] = {}
    for position, item in enumerate(region.items):
        where.update(dict.fromkeys(nodes_of(item), position))
    order = nx.DiGraph()
    order.add_nodes_from(range(len(region.items)))
    for index, position in where.items():
        for source in graph.sources(index):
            if source in where and where[source] != position:
                order.add_edge(where[source], position)
    return [region.items[position] for position in nx.lexicographical_topological_sort(order)]
