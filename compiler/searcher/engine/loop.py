"""What search and retraining share: epochs of steps, from a checkpoint to the next, stopped and resumed anywhere."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute, deterministic
from compiler.searcher.engine.reporting.records import EpochRecord
from compiler.searcher.engine.reporting.report import Report
from compiler.searcher.engine.reporting.sink import Plan
from compiler.searcher.engine.state.run_state import State
from compiler.searcher.engine.state.seeds import mix, seed_all
from compiler.searcher.engine.state.signals import Stop
from compiler.searcher.run_files import CHECKPOINT

from .errors import CheckpointError, Diverged, EngineError, Interrupted, OutOfMemory
from .gradients import finite
from .protocol import RunOptions


class Job(Protocol):
    """What is particular to a search or a training."""

    @property
    def epochs(self) -> int: ...

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""

    def begin(self, epoch: int, skip: int) -> None:
        """Make ready for the steps of an epoch, of which the first ``skip`` are done."""

    def fetch(self) -> None:
        """Take the data of the next step. Random changes to it are the first that is drawn with the step's seed."""

    def step(self, epoch: int, step: int) -> None:
        """One iteration, on what was fetched last."""

    def glance(self) -> dict[str, float]:
        """The running means of this epoch, for the display."""

    def end(self, epoch: int, accuracy: Callable[[Batches], float]) -> EpochRecord:
        """Judge the epoch; ``accuracy`` evaluates the network and may be interrupted."""

    def finish(self, accuracy: Callable[[Batches], float]) -> str:
        """Do what comes after the last epoch, and say how it went."""


class _Stopped(Exception):
    """Asked to stop where no state is half changed."""


def drive(job: Job, state: State, seed: int, run: RunOptions, report: Report) -> None:
    """Run every epoch that is left, so that neither a kill nor an interruption changes what comes out."""
    path = run.out / CHECKPOINT
    compute = state.compute
    stop = Stop()

    def accuracy(batches: Batches) -> float:
        return measure(state.module, batches, compute, lambda: _check(stop, compute))

    def save() -> None:
        _sound(finite(state.parameters()), state, path)
        state.save(path, run.fingerprint)

    with deterministic(), report, _explained(path), stop.listening():
        _open(state, path, run)
        report.start(Plan(state.kind, job.epochs, job.steps, state.epoch, state.step), state.history)
        try:
            while state.epoch < job.epochs:
                _epoch(job, state, seed, run, report, stop, save)
                _sound(finite(state.parameters()), state, path)
                seed_all(mix(seed, "judge", state.epoch, compute.rank), compute.device)
                record = job.end(state.epoch, accuracy)
                before = state.history[-1] if state.history else None
                state.next_epoch(record)
                state.save(path, run.fingerprint)
                report.epoch(record, before)
                if state.epoch < job.epochs:
                    _check(stop, compute)
            seed_all(mix(seed, "finish", compute.rank), compute.device)
            report.note(job.finish(accuracy))
        except _Stopped:
            save()
            where = f"after {state.epoch} of {job.epochs} epochs" + (f" and {state.step} steps" if state.step else "")
            raise Interrupted(f"Stopped {where}; to go on from {path}, {run.resume_with}.") from None


def _epoch(
    job: Job, state: State, seed: int, run: RunOptions, report: Report, stop: Stop, save: Callable[[], None]
) -> None:
    """The steps of an epoch that are left.

    The data of the next step are taken as soon as a step is under way: before anything waits for the device, which
    computes meanwhile. They are drawn with the seed of the step they are for, and nothing else is drawn before it.
    """
    compute = state.compute
    every = 1 if compute.device.type == "cpu" and compute.world == 1 else 25

    def fetch() -> None:
        seed_all(mix(seed, "step", state.epoch, state.step, compute.rank), compute.device)
        try:
            job.fetch()
        except RuntimeError as error:  # Ctrl-C may reach the loader's workers first; no step is half done then.
            if stop.requested and "DataLoader worker" in str(error):
                raise _Stopped from error
            raise

    state.module.train()
    seed_all(mix(seed, "epoch", state.epoch, compute.rank), compute.device)
    job.begin(state.epoch, state.step)
    if state.step < job.steps:
        fetch()
    while state.step < job.steps:
        job.step(state.epoch, state.step)
        state.step += 1
        if state.step < job.steps:
            fetch()
        shown = state.step % every == 0 or state.step in (1, job.steps)
        if shown:
            seen = job.glance()
            _sound(all(map(math.isfinite, seen.values())), state, run.out / CHECKPOINT)
            report.step(state.epoch, state.step, seen)
        else:
            report.step(state.epoch, state.step, None)
        if shown or compute.world == 1:  # Several processes have to agree, which waits for each other's devices.
            _check(stop, compute)
        if run.checkpoint_every and state.step % run.checkpoint_every == 0 and state.step < job.steps:
            save()


def _open(state: State, path: Path, run: RunOptions) -> None:
    """Load the checkpoint or write the first one."""
    if run.resume:
        state.load(path, run.fingerprint)
    elif path.exists() and not run.overwrite:
        raise CheckpointError(f"{run.out} holds a run already: resume it, overwrite it, or name another directory.")
    state.compute.wait()
    state.broadcast()
    if not run.resume:
        run.out.mkdir(parents=True, exist_ok=True)
        state.save(path, run.fingerprint)


def _check(stop: Stop, compute: Compute) -> None:
    if compute.any(stop.requested):
        raise _Stopped


def _sound(finite: bool, state: State, path: Path) -> None:
    if not finite:
        raise Diverged(
            f"The {state.kind} diverged in epoch {state.epoch + 1}: a loss or a parameter is not finite; the last good "
            f"checkpoint is {path}, but to go on from it repeats this, so start anew with a lower learning rate."
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Say what running out of memory means for the user."""
    try:
        yield
    except EngineError:
        raise
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(
            f"Out of memory: use a smaller --batch-size, fewer channels or bfloat16; the last checkpoint is {path}."
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of torch means that memory ran out."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and ("allocate memory" in text or "out of memory" in text)
    )


@torch.no_grad()
def measure(module: nn.Module, batches: Batches, compute: Compute, between: Callable[[], None] = lambda: None) -> float:
    """The accuracy of a network in eval mode; the mode it was in is restored."""
    training = module.training
    compute.share(list(module.buffers()))
    counts = torch.zeros(2, dtype=torch.int64, device=compute.device)
    module.eval()
    try:
        for images, labels in batches.once():
            with compute.autocast():
                logits = module(images)
            counts[0] += (logits.argmax(dim=1) == labels).sum()
            counts[1] += labels.numel()
            between()
    finally:
        module.train(training)
    correct, count = compute.sum(counts).tolist()
    return correct / count if count else 0.0
