"""Dry runs: the size of a search or a training, with time and memory estimated from two measured steps."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch
from torch import nn

from compiler.analysis.architectures.space_list import Part
from compiler.backend.lowering.network import Network
from compiler.program.model import Phase, Program
from compiler.program.stand_in import first_menus
from compiler.reports.facts import cardinality, human, power
from compiler.searcher.data.load import Data
from compiler.searcher.engine.errors import SingleValueError, is_single_value
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.explore.study import stream_of
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.axes import Order
from compiler.searcher.settings.derivation import Menus
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.searcher.settings.rungs import NoRungs
from compiler.searcher.settings.tasks import Task
from compiler.util.plural import plural
from hdas_dsl.tree.printer import print_module

from .config import RunConfig
from .data import matching_data
from .derived_alone import network_of
from .explore import proposer_for
from .fitting_threads import fitting_threads
from .judges import judge_alone
from .plan import SearchPlan, TrainPlan
from .train import fresh_network
from .trained_alone import TrainedAlone

Say = Callable[[str], None]
DRAWN = 3
"""Of so many drawn architectures a step is measured, where an explorer trains them; the median counts."""


@dataclass(frozen=True)
class RunSize:
    """A part of a run: a phase, or a training; steps of all epochs, seconds and bytes, where they are estimated."""

    name: str
    network: str
    steps: int | None = None
    seconds: float | None = None
    memory: int | None = None


@dataclass(frozen=True)
class StepEstimate:
    """The measured cost of one step here: seconds, and bytes of memory at the peak."""

    seconds: float
    memory: int


def dry_search(plan: SearchPlan, say: Say) -> list[RunSize]:
    """Say what a search would do, and give the size of each phase; nothing is written."""
    found, sizes = dict(plan.found), []
    for planned in plan.phases:
        program = plan.request.compile(found) if found else plan.program
        phase = next(item for item in program.phases if item.name == planned.name)
        space, settings = phase.network, phase.settings
        if isinstance(settings.relax, NoRelaxation):
            sizes.append(_dry_exploration(plan, program, phase, say, is_last=planned is plan.phases[-1]))
            continue
        if isinstance(settings.derive, Menus):
            found[phase.name] = print_module(first_menus(space, settings.derive))
        data = matching_data(settings, space, plan.config, phase.place("data"))
        supernet = relaxed(space, settings, plan.config.target(settings), phase.built)
        half = int(len(data.train) * settings.data.weights_share)
        steps = max(1, half // settings.batch)
        say(f"{'phase ' + phase.name if phase.name else 'search'}: {space.name} on {data.name}")
        say(f"  {power(cardinality(space))} architectures, {space.alphas} alphas")
        say(f"  {human(sum(p.numel() for p in supernet.weights()))} weights")
        say(f"  {settings.epochs} epochs of {steps} steps of {settings.batch} images from each half")
        passes = 5 if settings.order is Order.SECOND else 2
        with fitting_threads(space, settings.batch, plan.config.device):
            estimate = measure_step(supernet, data, settings.task, settings.batch, plan.config.device, passes)
        sizes.append(_size(phase.name, space.name, estimate, settings.epochs * steps))
        _say_estimate(estimate, sizes[-1], plan.config.out / phase.name, say)
    return sizes


def _dry_exploration(plan: SearchPlan, program: Program, phase: Phase, say: Say, *, is_last: bool) -> RunSize:
    """Say what an explorer without a supernet would do; where it trains what it proposes, with the size of that."""
    space, settings, config = phase.network, phase.settings, plan.config
    say(f"{'phase ' + phase.name if phase.name else 'search'}: {space.name}, by {settings.derive.describe()}")
    which = "trees of a grammar" if space.grammars else f"{power(cardinality(space))} architectures"
    say(f"  {which}; a trial is judged by {settings.judge.describe()}")
    options = RunOptions(plan.folder(phase), config.device, resume=True)  # so that nothing there is removed
    judge = judge_alone(plan, Part(phase.name, program, is_last), phase, options)
    trials = proposer_for(settings, judge, None).total
    if not isinstance(judge, TrainedAlone) or not isinstance(settings.rungs, NoRungs):
        say(f"  at most {plural(trials, 'trial')}")
        return RunSize(phase.name, space.name)
    epochs, epoch = judge.budgets.stated * judge.word.seeds, -(-len(judge.data.train) // judge.batch)
    each = f"a training of {plural(epochs, 'epoch')} of {plural(epoch, 'step')} of {judge.batch} images"
    say(f"  at most {plural(trials, 'trial')}, each {each}, one after the other")
    building, estimate = _measure_trial(judge, config)
    size = _size(phase.name, space.name, estimate, trials * epochs * epoch, trials * building)
    _say_estimate(estimate, size, options.out, say)
    return size


def _measure_trial(judge: TrainedAlone, config: RunConfig) -> tuple[float, StepEstimate]:
    """The seconds that building an architecture takes, and the cost of its step: medians over some that are drawn."""
    stream, building, measured = stream_of(judge.settings.seed), [], []
    for k in range(DRAWN):
        started = time.perf_counter()
        derived = judge.derived(judge.text(judge.space.drawn(stream(k))))
        network, settings = network_of(derived), derived.train_settings
        with fitting_threads(network, settings.batch, config.device):
            module = fresh_network(network, settings, config)
            building.append(time.perf_counter() - started)
            measured.append(measure_step(module, judge.data, settings.task, settings.batch, config.device, passes=1))
    a_step = median(item.seconds for item in measured)
    return median(building), StepEstimate(a_step, max(item.memory for item in measured))


def dry_training(plan: TrainPlan, say: Say) -> RunSize:
    """Say what a training would do, and give its size; nothing is written."""
    space, settings, config = plan.network, plan.settings, plan.config
    data = matching_data(settings, space, config, plan.program.place("data"))
    network = Network(space, target=config.target(settings))
    with fitting_threads(space, settings.batch, config.device):
        estimate = measure_step(network, data, settings.task, settings.batch, config.device, passes=1)
    steps = -(-len(data.train) // settings.batch)
    say(f"train {space.name} on {data.name}: {settings.epochs} epochs of {steps} steps of {settings.batch} images")
    size = _size("train", space.name, estimate, settings.epochs * steps)
    _say_estimate(estimate, size, config.out, say)
    return size


def _size(name: str, network: str, estimate: StepEstimate, steps: int, building: float = 0.0) -> RunSize:
    return RunSize(name, network, steps, building + estimate.seconds * steps, estimate.memory)


def measure_step(module: nn.Module, data: Data, task: Task, batch: int, device: str, passes: int) -> StepEstimate:
    """Time and memory of a step of ``passes`` forward and backward passes of a batch."""
    where = torch.device(
        "cuda" if device == "auto" and torch.cuda.is_available() else "cpu" if device == "auto" else device
    )
    if where.type == "cuda" and where.index is not None:
        torch.cuda.set_device(where)  # as a run does: passes are recorded on the current one
    module = module.to(where)
    indices = (torch.arange(batch) % len(data.train)).tolist()
    images, labels = data.train.finish(data.train.read(torch.as_tensor(indices)), lambda part: part.to(where))
    seconds = 0.0
    for _ in range(4 if where.type == "cuda" else 2):  # the first sets libraries up, and on a GPU the second records
        started = time.perf_counter()
        try:
            output = module(images)
        except ValueError as error:
            raise (SingleValueError() if is_single_value(error) else error) from error
        logits = output[0] if isinstance(output, tuple) else output
        behaviour_of(task, data.classes).loss(logits, labels).backward()
        if where.type == "cuda":
            torch.cuda.synchronize(where)
        seconds = time.perf_counter() - started
    memory = torch.cuda.max_memory_allocated(where) if where.type == "cuda" else _peak_memory()
    return StepEstimate(seconds * passes, memory)


def _say_estimate(estimate: StepEstimate, size: RunSize, out: Path, say: Say) -> None:
    duration, memory = _duration(size.seconds or 0.0), estimate.memory / 2**20
    say(f"  about {duration} ({estimate.seconds:.2f} s a step), about {memory:,.0f} MiB of memory")
    say(f"  would write {out}")


def _peak_memory() -> int:
    """The largest memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
