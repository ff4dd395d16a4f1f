"""Latency measured on this machine: each operation of a space by itself, on the CPU, in inference.

The operations take turns, so that what else the machine does falls on all of them alike; an operation's latency is the
median of its turns.
"""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import fx, nn

from ..elaborate import Elaborated
from ..primitives import PRIMITIVES
from .formula import Costing
from .prices import Application, Latency, Undefined
from .tables import Table

WARM_UP = 3
"""Runs before any that count."""

TURN = 5e-4
"""Seconds that a turn of an operation takes at least: short ones run several times in it."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Conditions:
    """How latencies are measured: images at once, threads, turns of each operation."""

    batch: int = 1
    threads: int = 1
    rounds: int = 15

    @property
    def facts(self) -> dict[str, str]:
        """What the table says of it."""
        return {
            "batch": str(self.batch),
            "threads": str(self.threads),
            "rounds": str(self.rounds),
            "machine": f"{platform.system()} {platform.machine()}",
            "torch": torch.__version__.partition("+")[0],
        }


def operations(spaces: Iterable[Elaborated]) -> dict[str, Application]:
    """Every distinct operation that an architecture of the spaces may hold, by its signature.

    Raises:
        Undefined: a width is open, or an operation unknown.
    """
    found: dict[str, Application] = {}
    for space in spaces:
        Costing(space).formula(Latency(Table("", {}), found))
    return dict(sorted(found.items()))


def measure(wanted: Mapping[str, Application], how: Conditions, clock: Clock = time.perf_counter) -> Table:
    """A table of these operations.

    Raises:
        Undefined: one cannot be built by itself.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(how.threads)
    try:
        with torch.inference_mode():
            runs = {signature: runner(application, how.batch) for signature, application in wanted.items()}
            turns = {signature: _repeats(run, clock) for signature, run in runs.items()}
            seconds: dict[str, list[float]] = {signature: [] for signature in runs}
            for _ in range(how.rounds):
                for signature, run in runs.items():
                    seconds[signature].append(_timed(run, turns[signature], clock))
    finally:
        torch.set_num_threads(before)
    return Table("measured", {name: 1e3 * median(values) for name, values in seconds.items()}, how.facts)


def runner(application: Application, batch: int) -> Callable[[], object]:
    """A run of one operation on random numbers."""
    spec = PRIMITIVES[application.name]
    inputs = [torch.randn(batch, *shape) for shape in application.inputs]
    graph = fx.Graph()
    emitted = spec.emit(graph, [graph.placeholder(f"x{index}") for index in range(len(inputs))])
    if emitted is None:
        module = spec.build(application.attrs, application.inputs, application.output)
    else:
        graph.output(emitted)
        module = fx.GraphModule(nn.Module(), graph)
    module.eval()
    return lambda: module(*inputs)


def _repeats(run: Callable[[], object], clock: Clock) -> int:
    """How often an operation runs in a turn."""
    for _ in range(WARM_UP):
        run()
    return max(1, math.ceil(TURN / max(_timed(run, 1, clock), 1e-9)))


def _timed(run: Callable[[], object], repeats: int, clock: Clock) -> float:
    """Seconds of one run."""
    start = clock()
    for _ in range(repeats):
        run()
    return (clock() - start) / repeats


__all__ = ["Conditions", "Undefined", "measure", "operations", "runner"]
