"""NAS-Bench-101 from the facts of the paper (Ying et al., ICML 2019): widths inside a cell, cells, the network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tests.reference.ops import total


@dataclass(frozen=True)
class Graph:
    """A cell: ``edges`` (from, to) between vertices in topological order, and the operations of the inner vertices."""

    ops: tuple[str, ...]
    edges: frozenset[tuple[int, int]]

    @property
    def last(self) -> int:
        return len(self.ops) + 1

    def into(self, vertex: int) -> list[int]:
        return sorted(a for a, b in self.edges if b == vertex)


def widths(graph: Graph, c_out: int) -> dict[int, int]:
    """The channels of every inner vertex: the output's, shared, or those of the widest that reads it."""
    found: dict[int, int] = {}
    ends = [vertex for vertex in graph.into(graph.last) if vertex]
    for position, vertex in enumerate(ends):
        found[vertex] = c_out // len(ends) + (position < c_out % len(ends))
    for vertex in range(graph.last - 1, 0, -1):
        if vertex not in found:
            found[vertex] = max(found[b] for a, b in graph.edges if a == vertex)
    return found


def unit(c_in: int, c_out: int, k: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=False), nn.BatchNorm2d(c_out), nn.ReLU())


def operation(name: str, c: int) -> nn.Module:
    return nn.MaxPool2d(3, 1, 1) if name == "pool3" else unit(c, c, int(name[-1]))


class Cell(nn.Module):
    def __init__(self, graph: Graph, c_in: int, c_out: int) -> None:
        super().__init__()
        self.graph = graph
        self.widths = widths(graph, c_out)
        self.parts = nn.ModuleDict()
        for vertex, name in enumerate(graph.ops, 1):
            if 0 in graph.into(vertex):
                self.parts[f"project{vertex}"] = unit(c_in, self.widths[vertex], 1)
            self.parts[f"op{vertex}"] = operation(name, self.widths[vertex])
        if 0 in graph.into(graph.last):
            self.parts["short"] = unit(c_in, c_out, 1)

    def forward(self, x: Tensor) -> Tensor:
        made: dict[int, Tensor] = {}
        for v in range(1, self.graph.last):
            terms = [made[source][:, : self.widths[v]] for source in self.graph.into(v) if source]
            if 0 in self.graph.into(v):
                terms.append(self.parts[f"project{v}"](x))
            made[v] = self.parts[f"op{v}"](sum(terms))
        ends = [made[source] for source in self.graph.into(self.graph.last) if source]
        whole = [torch.cat(ends, 1)] if ends else []
        if "short" in self.parts:
            whole.append(self.parts["short"](x))
        return total(whole)


class Network(nn.Module):
    def __init__(self, graph: Graph, c: int = 128, stacks: int = 3, cells: int = 3, classes: int = 10) -> None:
        super().__init__()
        layers: list[nn.Module] = [unit(3, c, 3)]
        width = c
        for stack in range(stacks):
            layers += [nn.MaxPool2d(2, 2)] if stack else []
            for _ in range(cells):
                layers.append(Cell(graph, width, c * 2**stack))
                width = c * 2**stack
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.layers(x).mean((2, 3)))
        return logits
