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
from .idle import idle
from .layout import layout
from .recompute import recompute
from .share import share
from .split import split
from .target import Target
from .tie import tie


@dataclass(frozen=True)
class Pass:
    """A rewriting of the graph that keeps every output and every gradient (law 4)."""

    name: str
    rewrite: Callable[[SpaceGraph, Target], SpaceGraph]

    def run(self, graph: SpaceGraph, target: Target = Target()) -> SpaceGraph:  # noqa: B008 (it is frozen)
        """The graph that the pass makes of another."""
        return self.rewrite(graph, target)


def _anywhere(name: str, rewrite: Callable[[SpaceGraph], SpaceGraph]) -> Pass:
    """A pass that is the same for every target."""
    return Pass(name, lambda graph, _: rewrite(graph))


FLATTEN = _anywhere("flatten", flatten)
"""From the hierarchy to single primitives: every lowering needs it."""

OPTIMISATIONS: tuple[Pass, ...] = (
    Pass("idle", idle),
    _anywhere("drop_none", drop_none),
    _anywhere("share", share),
    _anywhere("tie", tie),
    _anywhere("accumulate", accumulate),
    _anywhere("fold", fold),
    Pass("absorb", absorb),
    _anywhere("split", split),
    _anywhere("batch", batch),
    Pass("recompute", recompute),
    _anywhere("layout", layout),
)
"""What makes a flat graph cheaper, in order; the naive lowering leaves all of them out."""

PASSES: tuple[Pass, ...] = (FLATTEN, *OPTIMISATIONS)


def run_passes(
    graph: SpaceGraph,
    passes: Iterable[Pass] = PASSES,
    target: Target = Target(),  # noqa: B008 (it is frozen)
) -> SpaceGraph:
    """Run passes in order on a graph."""
    for item in passes:
        graph = item.run(graph, target)
    return graph
