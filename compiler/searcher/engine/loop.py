"""The loop that search and retraining share: epochs of steps, between checkpoints, stopped and resumed anywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute, deterministic
from compiler.searcher.engine.reporting.records import EpochRecord
from compiler.searcher.engine.reporting.report import Report
from compiler.searcher.engine.reporting.sink import Plan
from compiler.searcher.engine.state.run_state import NOUNS, State
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.engine.state.signals import Stop
from compiler.searcher.run_files import CHECKPOINT
from compiler.searcher.settings.narrowing import Measure
from compiler.util.memory import is_out_of_memory
from compiler.util.seeds import mix

from .accuracy import Evaluation
from .errors import (
    CheckpointError,
    DivergedError,
    EngineError,
    OutOfMemoryError,
    RunInterruptedError,
    SingleValueError,
    is_single_value,
)
from .gradients import finite
from .protocol import Evaluate, RunOptions
from .tasks import Behaviour
from .telling import Telling

STEPS_BETWEEN_WAITS = 25
"""Steps between two looks at the losses, on a GPU or with several processes: each look waits for the device."""


class Job(Protocol):
    """The part of a run that differs between a search and a training."""

    @property
    def behaviour(self) -> Behaviour:
        """The loss and the metric of its task."""

    @property
    def epochs(self) -> int:
        """How many epochs the run has."""

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""

    @property
    def is_over(self) -> bool:
        """Whether the run ends before its last epoch, now that some are done."""

    def begin(self, epoch: int, skip: int) -> None:
        """Make ready for the steps of an epoch, of which the first ``skip`` are done."""

    def fetch(self) -> None:
        """Take the data of the next step. Random changes to it are the first that is drawn with the step's seed."""

    def step(self, epoch: int, step: int) -> None:
        """One iteration, on what was fetched last."""

    def running_means(self) -> dict[str, float]:
        """The running means of this epoch, for the display."""

    def look(self, epoch: int) -> EpochRecord:
        """What leads and what is observed within an epoch; without numbers."""

    def end(self, epoch: int, evaluate: Evaluate) -> EpochRecord:
        """Judge the epoch; ``evaluate`` measures the network and may be interrupted."""

    def finish(self, evaluate: Evaluate) -> str:
        """End the run after its last epoch; returns a sentence on the result."""


class _StopSignal(Exception):  # noqa: N818 (no error: a run stops where it was asked to)
    """Asked to stop where no state is half changed."""


def run_epochs(job: Job, state: State, seed: int, run: RunOptions, report: Report) -> None:
    """Run every epoch that is left, so that neither a kill nor an interruption changes what comes out.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, in the way, or of another run.
        DivergedError: a loss, a metric or a parameter is no longer finite.
        RunInterruptedError: SIGINT or SIGTERM asked to stop; the checkpoint is written.
        OutOfMemoryError: the device has too little memory.
    """
    loop = _Loop(job, state, seed, run, report)
    with deterministic(), report, _errors_explained(loop.path), loop.stop.listening():
        loop.run_all()


@dataclass
class _Loop:
    """The epochs of one run."""

    job: Job
    state: State
    seed: int
    run: RunOptions
    report: Report
    stop: Stop = field(default_factory=Stop)

    @cached_property
    def told(self) -> Telling:
        return Telling(self.job, self.state, self.run)

    @property
    def path(self) -> Path:
        return self.run.out / CHECKPOINT

    @property
    def compute(self) -> Compute:
        return self.state.compute

    @property
    def is_over(self) -> bool:
        """Whether no epoch is left, or under way."""
        state = self.state
        return state.epoch >= self.job.epochs or self.job.is_over or (state.stopped and not state.step)

    def run_all(self) -> None:
        """All epochs, from the checkpoint or from the first."""
        job, state = self.job, self.state
        self._load_or_create()
        self.report.start(Plan(state.kind, job.epochs, job.steps, state.epoch, state.step), state.history)
        try:
            while not self.is_over:
                self._run_steps()
                self._close_epoch()
            self._seed("finish")
            self.report.note(job.finish(self._evaluate))
        except _StopSignal:
            self._save()
            where = f"after {state.epoch} of {job.epochs} epochs" + (f" and {state.step} steps" if state.step else "")
            raise RunInterruptedError(f"Stopped {where}; to go on from {self.path}, {self.run.resume_with}.") from None

    def _run_steps(self) -> None:
        """The steps of an epoch that are left.

        The data of the next step are taken as soon as a step is under way: before anything waits for the device, which
        computes meanwhile. They are drawn with the seed of the step they are for, and nothing else is drawn before it.
        """
        job, state, world = self.job, self.state, self.compute.world
        every = 1 if self.compute.device.type == "cpu" and world == 1 else STEPS_BETWEEN_WAITS
        state.module.train()
        self._seed("epoch", state.epoch)
        job.begin(state.epoch, state.step)
        if state.step < job.steps:
            self._fetch()
        while state.step < job.steps and not state.stopped:
            job.step(state.epoch, state.step)
            state.step += 1
            if state.step < job.steps:
                self._fetch()
            shown = state.step % every == 0 or state.step in (1, job.steps)
            means = job.running_means() if shown else None
            self._check_finite([name for name, mean in (means or {}).items() if not math.isfinite(mean)])
            self.report.step(state.epoch, state.step, means)
            self.told.step(means, agree=shown)
            if shown or world == 1:  # Several processes have to agree, which waits for each other's devices.
                self._raise_if_stopped()
            if self.run.checkpoint_every and state.step % self.run.checkpoint_every == 0 and state.step < job.steps:
                self._save()

    def _fetch(self) -> None:
        self._seed("step", self.state.epoch, self.state.step)
        try:
            self.job.fetch()
        except RuntimeError as error:  # Ctrl-C may reach the loader's workers first; no step is half done then.
            if self.stop.requested and "DataLoader worker" in str(error):
                raise _StopSignal from error
            raise

    def _close_epoch(self) -> None:
        """Judge an epoch, report it and write its checkpoint: in this order no kill loses what is reported once."""
        state = self.state
        self._check_finite([] if finite(state.parameters()) else ["a parameter"])
        self._seed("judge", state.epoch)
        record = self.job.end(state.epoch, self._evaluate)
        before = state.history[-1] if state.history else None
        state.next_epoch(record)
        self.report.epoch(record, before)
        self.told.epoch(record)
        state.save(self.path, self.run.fingerprint)
        if not self.is_over:
            self._raise_if_stopped()

    def _evaluate(
        self, batches: Batches, *, measure: Measure = Measure.ACCURACY, batch_statistics: bool = False
    ) -> float:
        evaluation = Evaluation(self.job.behaviour, measure, batch_statistics, self._raise_if_stopped)
        return evaluation(self.state.module, batches, self.compute)

    def _seed(self, *what: int | str) -> None:
        """Seed what follows, in each process differently."""
        seed_all(mix(self.seed, *what, self.compute.rank), self.compute.device)

    def _load_or_create(self) -> None:
        """Load the checkpoint or write the first one."""
        state, run = self.state, self.run
        if run.resume:
            state.load(self.path, run.fingerprint, run.changed)
        elif self.path.exists() and not run.overwrite:
            raise CheckpointError(f"{run.out} holds a run already: resume it, overwrite it, or name another directory.")
        self.compute.wait()
        state.broadcast()
        if not run.resume:
            run.out.mkdir(parents=True, exist_ok=True)
            state.save(self.path, run.fingerprint)

    def _save(self) -> None:
        self._check_finite([] if finite(self.state.parameters()) else ["a parameter"])
        self.state.save(self.path, self.run.fingerprint)

    def _raise_if_stopped(self) -> None:
        if self.compute.any(self.stop.requested):
            raise _StopSignal

    def _check_finite(self, lost: Sequence[str]) -> None:
        """Stop where something is not finite: a parameter, or means by their names, the loss first."""
        if lost:
            raise DivergedError(
                f"The {NOUNS[self.state.kind]} diverged in epoch {self.state.epoch + 1}: {lost[0]} is not finite; "
                f"the last good checkpoint is {self.path}, but to go on from it repeats this, so start anew with a "
                "lower learning rate."
            )


@contextmanager
def _errors_explained(path: Path) -> Iterator[None]:
    """Say what running out of memory, and a batch of one image, mean for the user."""
    try:
        yield
    except EngineError:
        raise
    except ValueError as error:
        raise (SingleValueError() if is_single_value(error) else error) from error
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"Out of memory: use a smaller --batch-size, fewer channels or bfloat16; the last checkpoint is {path}."
        ) from error
