"""Iterations of a search as the engine takes them, for a worker to time."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import torch
from contender import Case, Contender, Turn

from compiler.backend.passes import Target
from compiler.commands.values import read_bytes
from compiler.program.model import Phase
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.engine.device.compute import PRECISIONS, Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.narrowing import Measure
from compiler.searcher.settings.optimizers import AlphaAdam
from compiler.searcher.settings.sections import SearchSettings


class Iteration:
    """One iteration after the other, on batches that are already on the device.

    They are those of an epoch in the middle of the search, the first from there on in which the alphas move. Nothing
    was given up before it but what the turn says.
    """

    def __init__(self, contender: Contender, turn: Turn) -> None:
        case = contender.case
        phase = searched(case)
        settings = phase.settings
        self.count = iterations(settings, turn.steps)
        self.epoch = typical_epoch(settings)
        compute = Compute(case.device, 1, PRECISIONS[settings.precision])
        self.device = compute.device
        torch.manual_seed(0)
        budget = None if case.memory_budget is None else read_bytes(case.memory_budget)
        target = Target.on(case.device, memory_budget=budget, batch=case.batch)
        supernet = relaxed(phase.network, settings, target, phase.built)
        self.search = Searching(supernet, data_of(phase, case.batch), settings, compute)
        self.network = self.search.module.train()
        if turn.keep is not None:
            supernet.narrow(1, no_judge)
        self.search.begin(self.epoch, 0)
        self.search.fetch()
        self.full = self.search.weight_batch, self.search.alpha_batch

    def __call__(self, batch: int | None = None) -> None:
        """Take the iterations, on the first ``batch`` images, and wait for the device."""
        of_weights, of_alphas = self.full
        first = slice(batch)
        self.search.weight_batch = of_weights[0][first], of_weights[1][first]
        self.search.alpha_batch = None if of_alphas is None else (of_alphas[0][first], of_alphas[1][first])
        for step in range(self.count):
            self.search.step(self.epoch, step)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def searched(case: Case) -> Phase:
    """The search of a case: the phase that it names, or the first.

    Raises:
        HspError: the file is wrong, or its space refuses the settings.
    """
    program = Request(case.space, tuple(map(read_override, case.overrides)), case.network).compile()
    found = [phase for phase in program.phases if case.phase in (None, phase.name)]
    if not found:
        raise SystemExit(f"{case.space} has no search, or none of this name")
    return found[0]


def every(settings: SearchSettings) -> int:
    """In every how many iterations the alphas take a step, in an epoch in which they do."""
    return settings.alphas.every if isinstance(settings.alphas, AlphaAdam) else 1


def iterations(settings: SearchSettings, least: int) -> int:
    """At least so many iterations, in which alphas take their share of steps."""
    return every(settings) * ceil(least / every(settings))


def moves(settings: SearchSettings, epoch: int) -> bool:
    """Whether the alphas move in an epoch."""
    return epoch >= settings.alphas_from and settings.alphas.moves(epoch, 0)


def typical_epoch(settings: SearchSettings) -> int:
    """The first epoch from the middle on in which the alphas move, or the middle one."""
    middle = settings.epochs // 2
    return next((epoch for epoch in range(middle, settings.epochs) if moves(settings, epoch)), middle)


def data_of(phase: Phase, batch: int) -> Data:
    """Random images in the network's shape, just enough for a batch of each half."""
    channels, height, width = phase.network.input.largest
    graph = phase.network.block.graph
    assert graph.output is not None
    share = phase.settings.data.weights_share
    count = ceil(batch / min(share, 1 - share)) + 1
    classes = graph.node(graph.output).shape.largest[0]
    spec = Fake(classes=classes, count=count, channels=channels, size=height, weights_share=share)
    return load_data(spec, Path("data"), input_shape=(channels, height, width))


def no_judge(measure: Measure) -> float:
    """Items that go together are judged by their alphas alone."""
    raise AssertionError(measure)
