"""Latency measured on this machine: each operation of a space by itself, on the CPU, in inference.

The operations take turns, so that what else the machine does falls on all of them alike, and none finds its data in the
cache because it has just run; an operation's latency is the median of its turns. Inside a network operations take
longer than by themselves. How much is measured on a few architectures of the space, and all rows are scaled by it.
"""

from __future__ import annotations

import platform
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from statistics import median

import torch

from compiler.analysis.costs.cost_polynomial import Costing
from compiler.analysis.costs.elimination import Variables, minimum
from compiler.analysis.costs.latency_table import Table
from compiler.analysis.costs.of_architecture import ArchitectureCosts
from compiler.analysis.costs.prices import Application, Latency
from compiler.backend.lowering.fx import lower
from compiler.backend.lowering.operators import standalone
from compiler.backend.passes import FLATTEN, run_passes
from compiler.backend.passes.rebuild import without_dead
from compiler.derivation.specialise import specialise
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError
from compiler.util.memory import physical_memory

WARM_UP = 3
"""Runs before any that count."""

HELD = 2**29
"""The bytes of tensors that operations which take turns hold together: more than any cache."""

SAMPLES = 5
"""How many architectures of a space are measured as a whole, besides the fastest."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Conditions:
    """How latencies are measured: images at once, threads, turns of each operation."""

    batch: int = 1
    threads: int = 1
    rounds: int = 51

    @property
    def facts(self) -> dict[str, str]:
        """The conditions of the measurement, for the head of the table."""
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
        UndefinedQuantityError: a width is open, or an operation unknown.
    """
    found: dict[str, Application] = {}
    for space in spaces:
        Costing(space).formula(Latency(Table("", {}), found))
    return dict(sorted(found.items()))


def measure(wanted: Mapping[str, Application], how: Conditions, clock: Clock = time.perf_counter) -> Table:
    """A table of these operations, as many at once as memory holds.

    Raises:
        UndefinedQuantityError: one cannot be built by itself.
        UsageError: one takes more memory than this machine has.
    """
    found: dict[str, float] = {}
    with _quiet(how):
        for signatures in together(wanted, how.batch):
            runs = {signature: runner(wanted[signature], how.batch) for signature in signatures}
            found |= _in_turns(runs, how, clock)
    return Table("measured", found, how.facts)


def together(wanted: Mapping[str, Application], batch: int) -> Iterator[list[str]]:
    """The operations that take turns with each other: in the order given, of at most `HELD` bytes, or one alone.

    Raises:
        UsageError: one takes more memory than this machine has.
    """
    memory = physical_memory()
    group, size = list[str](), 0
    for signature, application in wanted.items():
        held = _held(application, batch)
        if memory is not None and held > memory:
            takes, has = (f"{amount / 2**30:,.0f} GiB" for amount in (held, memory))
            raise UsageError(f"'{signature}' takes {takes} of memory, and this machine has {has}")
        if group and size + held > HELD:
            yield group
            group, size = [], 0
        group.append(signature)
        size += held
    if group:
        yield group


def _held(application: Application, batch: int) -> int:
    """The bytes of an operation's parameters, inputs and output in float32."""
    assert application.op is not None, "only what is known has a price"
    numbers = sum(prod(shape) for shape in (*application.inputs, application.output)) * batch
    return 4 * (numbers + application.op.params(application.inputs, application.output))


def calibration(space: Elaborated, table: Table, how: Conditions, clock: Clock = time.perf_counter) -> float:
    """How much longer architectures of a space take as a whole than the sum of their rows.

    That of the fastest by the table, in which what happens between operations weighs most, and of a few others; the
    largest counts, so that a budget holds.
    """
    costing = Costing(space)
    price = Latency(table)
    source = random.Random(0)
    variables = Variables(space.decisions)
    fastest = minimum(variables, *variables.factors(costing.formula(price).terms.items())).states
    chosen = [] if fastest is None else [variables.decisions(fastest)]
    for _ in range(SAMPLES):
        alphas = {path: [source.gauss(0, 1) for _ in d.items] for path, d in space.decisions.items()}
        chosen.append(strongest(space.decisions, alphas, By.LOGIT))
    costs = ArchitectureCosts(space)
    return max(measure_whole(specialise(space, item), how, clock) / costs.amount(price, item) for item in chosen)


def measure_whole(network: Elaborated, how: Conditions, clock: Clock = time.perf_counter) -> float:
    """Milliseconds of an architecture as a whole: as it is written, and without its auxiliary head."""
    graph = run_passes(network.block.graph, (FLATTEN,))
    graph.aux = None
    module = lower(without_dead(graph), {}).eval()
    with _quiet(how):
        source = network.block.graph
        images = [torch.randn(how.batch, *source.node(index).shape.largest) for index in source.inputs]
        return _in_turns({network.name: lambda: module(*images)}, how, clock)[network.name]


@contextmanager
def _quiet(how: Conditions) -> Iterator[None]:
    """A context with as many threads as asked for, and no gradients."""
    before = torch.get_num_threads()
    torch.set_num_threads(how.threads)
    try:
        with torch.inference_mode():
            yield
    finally:
        torch.set_num_threads(before)


def _in_turns(runs: Mapping[str, Callable[[], object]], how: Conditions, clock: Clock) -> dict[str, float]:
    """The median milliseconds of each run."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(WARM_UP + how.rounds):
        for name, run in runs.items():
            start = clock()
            run()
            if turn >= WARM_UP:
                seconds[name].append(clock() - start)
    return {name: 1e3 * median(values) for name, values in seconds.items()}


def runner(application: Application, batch: int) -> Callable[[], object]:
    """A run of one operation on random numbers."""
    assert application.op is not None, "only what is known has a price"
    tokens = application.op.vocabulary
    inputs = [
        torch.randn(batch, *shape) if tokens is None else torch.randint(tokens, (batch, *shape))
        for shape in application.inputs
    ]
    module = standalone(application.op, application.inputs, application.output).eval()
    return lambda: module(*inputs)
