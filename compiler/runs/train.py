"""Training a discrete network, from scratch or from saved weights."""

from __future__ import annotations

import json
from collections.abc import Callable

import torch

from compiler.backend.lowering.network import Network
from compiler.elaborate import Elaborated
from compiler.reports.settings_text import train_record
from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.retrain import TrainOutcome, run_train
from compiler.searcher.listeners import EndEvent
from compiler.searcher.run_files import RESULT
from compiler.searcher.settings.sections import TrainSettings
from compiler.util.files import atomic_write
from compiler.util.seeds import mix

from .anew import TRAINING, start_anew
from .changed import changed
from .config import RunConfig
from .data import matching_data
from .fingerprint import fingerprint
from .fitting_threads import fitting_threads
from .folder import held
from .plan import TrainPlan
from .record import write_record
from .weights import start_from


def train(plan: TrainPlan, warn: Callable[[str], None] = lambda _: None) -> TrainOutcome:
    """Train a network, from scratch or from weights, and test it once.

    ``warn`` gets what the file requires and the network breaks, and which tensors the weights lack.

    Raises:
        UsageError: the weights have nothing of this network.
        DataError: the data are missing or do not fit.
        EngineError: the run ends early.
    """
    with held(plan.config.out), plan.listeners.logging():
        return _train(plan, warn)


def fresh_network(space: Elaborated, settings: TrainSettings, config: RunConfig) -> Network:
    """A discrete network with the weights that a training from scratch begins with."""
    torch.manual_seed(mix(settings.seed, "init"))
    return Network(space, target=config.target(settings))


def _train(plan: TrainPlan, warn: Callable[[str], None]) -> TrainOutcome:
    program, space, settings, config = plan.program, plan.network, plan.settings, plan.config
    for warning in program.warnings:
        warn(warning.render())
    data = matching_data(settings, space, config, program.place("data"))
    for note in data.warnings:
        warn(f"warning: {note}")
    network = fresh_network(space, settings, config)
    start = [] if plan.weights is None else list(start_from(network, plan.weights))
    for sentence in (*network.warnings, *start):
        warn(f"warning: {sentence}")
    record = train_record(program, space)
    options = RunOptions(
        out=config.out,
        device=config.device,
        devices=config.devices,
        resume=config.resume,
        overwrite=config.force,
        quiet=config.quiet,
        fingerprint=fingerprint(program, space, settings.describe(full=True), data, plan.weights),
        title=f"train {program.name}",
        checkpoint_every=config.checkpoint_every,
        listeners=plan.listeners,
        changed=changed(config, record),
    )
    if is_main_process():
        plan.listeners.settings(settings.written(full=True))
    if config.force and not config.resume:
        read = [unit.path for unit in program.unit.all_used() if unit.path is not None]
        start_anew([config.out], TRAINING, [*read, *([] if plan.weights is None else [plan.weights])])
    with fitting_threads(space, settings.batch, config.device):
        write_record(config, record, [settings.task])
        outcome = run_train(network, data, settings, options)
    done = len(outcome.history)
    facts: dict[str, object] = {settings.task.metric: round(outcome.value, 6)}
    facts |= {"weights": outcome.weights.name, "epochs": done}
    if statistics := data.test.statistics:  # An exported network asks for images that are normalised so.
        facts["images"] = statistics
    atomic_write(config.out / RESULT, json.dumps(facts, indent=2) + "\n")
    if is_main_process():
        test = {settings.task.metric: outcome.value}
        plan.listeners.end(EndEvent("train", "", done, outcome.stopped, test, {}, outcome.weights))
    return outcome
