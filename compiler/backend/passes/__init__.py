"""The passes: each a file, a function, a word of `--emit` and a folder of golden tests. Here is their order.

Each is weighed when it has run: what a step would cost on the target's machine (`estimate`) must not grow by it, or it
is left out. On a GPU, under `torch.compile` and in half precision operations stay as they are written
(`Target.keeps_operations`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from compiler.ir.graph import SpaceGraph
from compiler.ir.verify import is_asked_for, verify
from compiler.util.errors import UsageError
from compiler.util.gc_pause import uncollected
from hdas_dsl.text.diagnostics import suggest

from .absorb import absorb
from .accumulate import accumulate
from .batch import batch
from .commute import commute
from .drop_none import drop_none
from .estimate import Estimate, estimate
from .flatten import flatten
from .fold import fold
from .idle import idle
from .layout import layout
from .recompute import recompute
from .share import share
from .split import split
from .target import CPU, CPU_WITH_KERNEL, CUDA, Machine, Target
from .tie import tie

__all__ = [
    "CPU",
    "CPU_WITH_KERNEL",
    "CUDA",
    "FLATTEN",
    "OPTIMISATIONS",
    "PASSES",
    "STRUCTURAL",
    "Machine",
    "Pass",
    "Ran",
    "Target",
    "named",
    "optimised",
    "run_passes",
    "weighed",
]


@dataclass(frozen=True)
class Pass:
    """A rewriting of the graph that keeps every output and every gradient (law 4).

    One that ``trades`` makes a step slower on purpose, and is not weighed; one that ``prepares`` the next is weighed
    together with that.
    """

    name: str
    rewrite: Callable[[SpaceGraph, Target], SpaceGraph]
    trades: bool = False
    prepares: bool = False

    def run(self, graph: SpaceGraph, target: Target = Target()) -> SpaceGraph:  # noqa: B008 (it is frozen)
        """The graph that the pass makes of another."""
        with uncollected():
            made = self.rewrite(graph, target)
        if is_asked_for():
            verify(made, when=f"the pass '{self.name}'")
        return made


def _anywhere(name: str, rewrite: Callable[[SpaceGraph], SpaceGraph], prepares: bool = False) -> Pass:
    """A pass that is the same for every target."""
    return Pass(name, lambda graph, _: rewrite(graph), prepares=prepares)


FLATTEN = _anywhere("flatten", flatten)
"""From the hierarchy to single primitives: every lowering needs it."""

OPTIMISATIONS: tuple[Pass, ...] = (
    Pass("idle", idle),
    _anywhere("drop_none", drop_none),
    _anywhere("share", share),
    _anywhere("tie", tie),
    _anywhere("commute", commute, prepares=True),
    _anywhere("accumulate", accumulate),
    Pass("fold", fold),
    Pass("absorb", absorb),
    _anywhere("split", split, prepares=True),
    _anywhere("batch", batch),
    Pass("recompute", recompute, trades=True),
    _anywhere("layout", layout),
)
"""The passes that make a flat graph cheaper, in order; the naive lowering leaves all of them out."""

PASSES: tuple[Pass, ...] = (FLATTEN, *OPTIMISATIONS)

STRUCTURAL: tuple[Pass, ...] = PASSES[:4]
"""The passes that leave every operation as it is written, for graphs that others than torch read."""


@dataclass(frozen=True)
class Ran:
    """A pass that was run, what the graph then costs, and whether it was kept."""

    name: str
    after: Estimate
    kept: bool


def weighed(graph: SpaceGraph, passes: Iterable[Pass], target: Target) -> tuple[SpaceGraph, list[Ran]]:
    """Run passes in order on a graph, leaving out those after which a step would cost more.

    While a step holds more than the memory budget, a pass is kept that makes it hold less. Where the target keeps
    operations, only structural passes are.
    """
    ran: list[Ran] = []
    best, held = math.inf, 0
    pending: list[tuple[Pass, Estimate]] = []
    made = graph
    for item in passes:
        made = item.run(made, target)
        after = estimate(made, target.machine)
        pending.append((item, after))
        if item.prepares:
            continue
        seconds = after.seconds(target)
        is_short = target.memory_budget is not None and held * target.batch > target.memory_budget
        is_allowed = item in STRUCTURAL or not target.keeps_operations
        kept = is_allowed and (item.trades or seconds <= best or (is_short and after.held < held))
        ran += [Ran(each.name, cost, kept) for each, cost in pending]
        pending = []
        if kept:
            graph, best, held = made, seconds, after.held
        else:
            made = graph
    return graph, ran


def named(names: Iterable[str]) -> tuple[Pass, ...]:
    """The passes of some names, in their order.

    Raises:
        UsageError: when there is none of a name.
    """
    wanted, known = set(names), {item.name: item for item in PASSES}
    for name in sorted(wanted - known.keys()):
        hint = suggest(name, known) or f"known: {', '.join(known)}"
        raise UsageError(f"there is no pass '{name}' ({hint})")
    return tuple(item for item in PASSES if item.name in wanted)


def optimised(flat: SpaceGraph, target: Target) -> SpaceGraph:
    """A flat graph after the passes that the target names, or else those that pay there."""
    if target.passes is not None:
        return run_passes(flat, [item for item in named(target.passes) if item is not FLATTEN], target)
    return weighed(flat, OPTIMISATIONS, target)[0]


def run_passes(
    graph: SpaceGraph,
    passes: Iterable[Pass] = PASSES,
    target: Target = Target(),  # noqa: B008 (it is frozen)
) -> SpaceGraph:
    """Run passes in order on a graph, each whether it pays or not."""
    for item in passes:
        graph = item.run(graph, target)
    return graph
