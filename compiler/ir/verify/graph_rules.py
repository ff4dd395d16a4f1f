"""The rules of a graph as a whole: its order, its edges, its ends, its names and scopes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Input
from compiler.ir.sums import Sums

from .rules import Stage


def _order(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    for index, node in graph.order():
        for source in graph.sources(index):
            if not 0 <= source < index:
                yield node.name, f"node {index} reads node {source}"


def _readers(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    expected: dict[int, list[int]] = {index: [] for index, _ in graph.order()}
    for index, _ in graph.order():
        for source in graph.sources(index):
            expected[source].append(index)
    for index, node in graph.order():
        if list(graph.readers(index)) != expected[index]:
            yield node.name, f"its readers are said to be {[*graph.readers(index)]} and are {expected[index]}"


def _ends(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    if graph.output is None:
        yield "", "there is no output"
    for end in graph.outputs:
        if not 0 <= end < len(graph):
            yield "", f"there is no node {end}"
        elif isinstance(graph.node(end).payload, Sums):
            yield graph.node(end).name, "several sums are not one tensor"
    found = [(index, node.payload) for index, node in graph.order() if isinstance(node.payload, Input)]
    if [index for index, _ in found] != graph.inputs:
        yield "", "the inputs are others than its input nodes"
    for place, (index, payload) in enumerate(found):
        if payload.index != place:
            yield graph.node(index).name, f"input {place} says that it is number {payload.index}"


def _names(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    for name, count in Counter(node.name for _, node in graph.order()).items():
        if count > 1 or not name:
            yield name, f"{count} nodes have it"


def _scopes(graph: SpaceGraph, stage: Stage) -> Iterator[tuple[str, str]]:
    around: dict[str, tuple[str, ...]] = {}
    for _, node in graph.order():
        if stage is Stage.HIERARCHICAL and node.scope:
            yield node.name, "a hierarchical graph has no scopes"
        for depth, name in enumerate(node.scope):
            outer = node.scope[:depth]
            if around.setdefault(name, outer) != outer:
                yield node.name, f"'{name}' lies in {outer} here and in {around[name]} elsewhere"
            if outer and not name.startswith(f"{outer[-1]}."):
                yield node.name, f"'{name}' lies in '{outer[-1]}'"


WHOLE: Mapping[str, Callable[[SpaceGraph, Stage], Iterator[tuple[str, str]]]] = {
    "sources come first": _order,
    "readers are those of the sources": _readers,
    "inputs and outputs are nodes of the graph": _ends,
    "names are unique": _names,
    "scopes are prefixes": _scopes,
}
"""The rules of a graph as a whole."""
