"""The passes: each a file, a function, a word of `--emit` and a folder of golden tests. Here is their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..graph import SpaceGraph
from .absorb import absorb
from .accumulate import accumulate
from .batch import batch
from .drop_none import drop_none
from .flatten import flatten
from .fold import fold
from .share import share
from .tie import tie


@dataclass(frozen=True)
class Pass:
    """A rewriting of the graph that keeps every output and every gradient (law 4)."""

    name: str
    run: Callable[[SpaceGraph], SpaceGraph]


FLATTEN = Pass("flatten", flatten)
"""From the hierarchy to single primitives: every lowering needs it."""

OPTIMISATIONS: tuple[Pass, ...] = (
    Pass("drop_none", drop_none),
    Pass("share", share),
    Pass("tie", tie),
    Pass("accumulate", accumulate),
    Pass("fold", fold),
    Pass("absorb", absorb),
    Pass("batch", batch),
)
"""What makes a flat graph cheaper, in order; the naive lowering leaves all of them out."""

PASSES: tuple[Pass, ...] = (FLATTEN, *OPTIMISATIONS)


def run_passes(graph: SpaceGraph, passes: Iterable[Pass] = PASSES) -> SpaceGraph:
    """Run passes in order on a graph."""
    for item in passes:
        graph = item.run(graph)
    return graph
