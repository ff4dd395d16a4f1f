"""Callbacks hear of a run, change no bit of it, and end it as its last epoch would, also where it is killed."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy
import pytest
import torch
from threadpoolctl import threadpool_limits

from compiler.searcher.engine import RunInterruptedError, RunOptions, SearchOutcome, run_search, run_train
from compiler.searcher.listeners import Callback, EpochEvent, Listeners, StepEvent
from compiler.searcher.run_files import CHECKPOINT
from compiler.searcher.settings.derivation import Epoch, Strongest
from compiler.util.errors import UsageError
from tests.support.engine_toy import SEARCH, TRAIN, ToyNet, ToySpace, toy_data

STEPS = 3
"""Of 48 images, half of them for the weights, 8 a batch."""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


@dataclass
class Ear(Callback):
    """Remembers what it hears, draws random numbers, spoils what it is given, and ends the run where it is asked to."""

    at: tuple[int, int] | None = None
    """The epoch, and the step of it; step 0 is its end."""
    heard: list[tuple[int, int]] = field(default_factory=list)
    found: list[StepEvent | EpochEvent] = field(default_factory=list)

    def on_step(self, event: StepEvent) -> bool:
        assert event.decisions.keys() == event.mixing.keys() == ({} if event.run.kind == "train" else LEADS).keys()
        return self.hear(event, event.step)

    def on_epoch(self, event: EpochEvent) -> bool:
        return self.hear(event, 0)

    def hear(self, event: StepEvent | EpochEvent, step: int) -> bool:
        torch.manual_seed(7)
        numpy.random.seed(7)
        random.seed(7)
        self.heard.append((event.epoch, step))
        self.found.append(replace(event, metrics=dict(event.metrics)))
        if isinstance(event.metrics, dict):
            event.metrics.clear()
        return (event.epoch, step) == self.at


LEADS = dict.fromkeys(ToySpace().alphas)
EVERY = [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2, 3, 0)]


def search(
    out: Path, *callbacks: Callback, before: Callable[[int], None] = lambda call: None, **more: object
) -> SearchOutcome:
    space = ToySpace()
    space.module.before = before
    run = RunOptions(out, device="cpu", quiet=True, listeners=Listeners(callbacks), phase="one")
    return run_search(space, toy_data(), SEARCH, replace(run, **more))  # type: ignore[arg-type]


def content(out: Path) -> bytes:
    return (out / CHECKPOINT).read_bytes()


def test_a_search_tells_each_step_and_epoch_and_computes_the_same(tmp_path: Path) -> None:
    ear = Ear()
    found, alone = search(tmp_path / "heard", ear, ear), search(tmp_path / "alone")
    assert ear.heard == [place for place in EVERY for _ in range(2)]
    assert content(tmp_path / "heard") == content(tmp_path / "alone")
    assert [event.metrics for event in ear.found[7::8]] == [{}] * 3, "the first of two spoiled its copy"
    assert [event.metrics for event in ear.found[6::8]] == [record.scalars for record in alone.history]
    last = ear.found[-1]
    assert isinstance(last, EpochEvent)
    assert last.decisions == found.decisions
    assert last.mixing == alone.history[-1].observed.weights
    assert (last.run.kind, last.run.phase, last.run.epochs, last.run.steps) == ("search", "one", 3, STEPS)
    assert not found.stopped


@pytest.mark.parametrize("at", [(1, 0), (2, 2)])
def test_a_search_is_ended_as_its_last_epoch_ends_it(at: tuple[int, int], tmp_path: Path) -> None:
    ear = Ear(at)
    found = search(tmp_path / "run", ear)
    epoch, step = at
    assert ear.heard == EVERY[: EVERY.index(at) + 1] + [(epoch, 0)] * bool(step)
    assert found.stopped
    assert len(found.history) == found.epoch == epoch
    assert "as a callback asked" in (tmp_path / "run" / "log.txt").read_text()
    never = Ear()
    again = search(tmp_path / "run", never, resume=True)
    assert never.heard == []
    assert again.history == found.history
    torch.testing.assert_close(again.alphas, found.alphas, rtol=0, atol=0)


def test_before_alphas_move_the_last_epoch_is_the_best(tmp_path: Path) -> None:
    settings = SEARCH.model_copy(update={"alphas_from": 2, "derive": Strongest(epoch=Epoch.BEST)})
    run = RunOptions(tmp_path, device="cpu", quiet=True, listeners=Listeners((Ear((1, 0)),)))
    found = run_search(ToySpace(), toy_data(), settings, run)
    assert (found.epoch, found.alphas.keys()) == (1, LEADS.keys())


@pytest.mark.parametrize("call", [11, 13, 15])
def test_an_end_outlives_an_interruption(call: int, tmp_path: Path) -> None:
    """In the step before it, in its own, and in the evaluation after it, before which it is not asked again."""
    at = (2, 2)
    whole = search(tmp_path / "whole", Ear(at))

    def before(now: int) -> None:
        if now == call:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(RunInterruptedError):
        search(tmp_path / "cut", Ear(at), before=before)
    found = search(tmp_path / "cut", Ear(at), resume=True)
    assert found.history == whole.history
    assert content(tmp_path / "cut") == content(tmp_path / "whole")


def test_a_training_is_ended_saved_and_tested(tmp_path: Path) -> None:
    ear = Ear((2, 1))
    run = RunOptions(tmp_path / "run", device="cpu", quiet=True, listeners=Listeners((ear,)))
    found = run_train(ToyNet(), toy_data(), TRAIN, run)
    assert ear.heard == [*EVERY[:4], (2, 1), (2, 0)]
    assert (found.stopped, len(found.history), found.weights.is_file()) == (True, 2, True)
    whole = run_train(ToyNet(), toy_data(), TRAIN, RunOptions(tmp_path / "whole", device="cpu", quiet=True))
    assert found.history[0] == whole.history[0]
    assert 0 < found.value <= 1


def test_what_raises_ends_a_run_as_an_error(tmp_path: Path) -> None:
    class Broken(Callback):
        def on_epoch(self, event: EpochEvent) -> None:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        search(tmp_path, Broken())
    assert search(tmp_path, resume=True).history == search(tmp_path / "other").history


def test_what_is_no_callback_is_refused() -> None:
    with pytest.raises(UsageError, match="3 is not a callback"):
        Listeners.of([3])
    with pytest.raises(UsageError, match="is not a callback"):
        Listeners.of([Ear])
