"""The calls of a run's callbacks, and the end of a run that one asks for; without callbacks nothing is done."""

from __future__ import annotations

from typing import Protocol

from compiler.searcher.engine.reporting.records import EpochRecord
from compiler.searcher.engine.state.run_state import State
from compiler.searcher.engine.state.seeds import preserved_generators
from compiler.searcher.listeners import EpochEvent, RunInfo, StepEvent

from .protocol import RunOptions


class Told(Protocol):
    """The part of a run's job that events for callbacks are made from."""

    @property
    def epochs(self) -> int:
        """How many epochs the run has."""

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""

    def look(self, epoch: int) -> EpochRecord:
        """The leading architecture and the observed values within an epoch."""


class Telling:
    """Calls the callbacks of a run; with several processes only the main one does, and all end together.

    Args:
        job: the search or training.
        state: the state of the run, in which it is noted that a callback has ended it.
        run: the options of the run, with its callbacks.
    """

    def __init__(self, job: Told, state: State, run: RunOptions) -> None:
        self.job, self.state, self.listeners = job, state, run.listeners
        self.info = RunInfo(state.kind, run.phase, job.epochs, job.steps)
        self.means: dict[str, float] = {}
        self.asked = False

    def step(self, means: dict[str, float] | None, *, agree: bool) -> None:
        """A step of the epoch is done; where processes ``agree``, they end if a callback has asked for it."""
        if not self.listeners.callbacks:
            return
        state = self.state
        self.means = means or self.means
        if state.compute.main:
            epoch = state.epoch
            event = StepEvent(self.info, epoch + 1, state.step, self.means, lambda: self.job.look(epoch))
            with preserved_generators(state.compute.device):
                self.asked = self.listeners.step(event) or self.asked
        if agree or state.compute.world == 1:
            state.stopped = state.compute.any(self.asked)

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done, and its record is part of the state."""
        if not self.listeners.callbacks:
            return
        state, seen = self.state, record.observed
        if state.compute.main:
            event = EpochEvent(
                run=self.info,
                epoch=record.epoch,
                metrics=dict(record.scalars),
                decisions=dict(record.decisions),
                alphas=seen.alphas,
                mixing=seen.weights,
                entropies=seen.entropies,
            )
            with preserved_generators(state.compute.device):
                self.asked = self.listeners.epoch(event) or self.asked
        state.stopped = state.compute.any(self.asked) or state.stopped
