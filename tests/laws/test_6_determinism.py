"""Runs that are killed, interrupted, resumed, or go wrong: what comes out must not depend on it (law 6)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_limits

from compiler.searcher.engine import (
    CheckpointError,
    DivergedError,
    OutOfMemoryError,
    RunInterruptedError,
    RunOptions,
    SearchOutcome,
    run_search,
    run_train,
)
from compiler.searcher.settings.axes import Order
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.memory import is_out_of_memory
from tests.support.engine_toy import SEARCH, TRAIN, ToyNet, ToySpace, toy_data
from tests.support.paths import ROOT

TOY = ROOT / "tests" / "support" / "engine_toy.py"
SECOND = SEARCH.replace("order", Order.SECOND)


def options(out: Path, resume: bool = False, **more: object) -> RunOptions:
    return RunOptions(out, device="cpu", resume=resume, quiet=True, fingerprint="toy", **more)  # type: ignore[arg-type]


def search(
    out: Path,
    before: Callable[[int], None] = lambda call: None,
    settings: SearchSettings = SEARCH,
    *,
    resume: bool = False,
    space: ToySpace | None = None,
    **more: object,
) -> SearchOutcome:
    space = space or ToySpace()
    space.module.before = before
    return run_search(space, toy_data(), settings, options(out, resume, **more))


def train(out: Path, before: Callable[[int], None] = lambda call: None, *, resume: bool = False) -> float:
    net = ToyNet()
    net.module.before = before
    return run_train(net, toy_data(), TRAIN, options(out, resume)).accuracy


def sends(number: signal.Signals, at: int) -> Callable[[int], None]:
    """Raised in this thread, so that it arrives at once."""
    return lambda call: signal.raise_signal(number) if call == at else None


def toy(*arguments: str) -> subprocess.CompletedProcess[str]:
    root = ROOT
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, str(TOY), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600, check=False)


def checkpoint(out: Path) -> bytes:
    return (out / "checkpoint.safetensors").read_bytes()


def epochs(out: Path) -> list[dict[str, object]]:
    lines = [json.loads(text) for text in (out / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """More only cost time on work this small, and much of it where other programs run too."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("unbroken")
    search(out / "search")
    search(out / "second", settings=SECOND)
    train(out / "train")
    return out


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(unbroken: Path, tmp_path: Path) -> None:
    torch.randn(17)  # whatever was drawn before
    search(tmp_path / "same")
    assert checkpoint(tmp_path / "same") == checkpoint(unbroken / "search")
    search(tmp_path / "other", settings=SEARCH.replace("seed", 4))
    assert checkpoint(tmp_path / "other") != checkpoint(unbroken / "search")


@pytest.mark.parametrize(("kind", "call"), [("search", 17), ("train", 5)])
def test_a_run_killed_in_its_second_epoch_resumes_to_the_same_bytes(
    unbroken: Path, tmp_path: Path, kind: str, call: int
) -> None:
    out = tmp_path / kind
    killed = toy(kind, str(out), "--die-at", str(call))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert len(epochs(out)) == 1
    assert not (out / "weights.safetensors").exists()
    search(out, resume=True) if kind == "search" else train(out, resume=True)
    assert checkpoint(out) == checkpoint(unbroken / kind)
    assert epochs(out) == epochs(unbroken / kind)
    if kind == "train":
        written = "weights.safetensors"
        assert (out / written).read_bytes() == (unbroken / kind / written).read_bytes()


# 6 passes of steps in an epoch, then 3 or 4 of evaluation
@pytest.mark.parametrize(
    ("number", "call"), [(signal.SIGTERM, 4), *((signal.SIGINT, n) for n in (1, 3, 4, 6, 8, 9, 10))]
)
def test_an_interrupted_search_resumes_to_the_same_bytes(
    unbroken: Path, tmp_path: Path, call: int, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    with pytest.raises(RunInterruptedError, match=r"Stopped after \d of 3 epochs.* to go on from .*--resume\.$"):
        search(tmp_path, sends(number, call))
    assert signal.getsignal(number) is before
    search(tmp_path, resume=True)
    assert checkpoint(tmp_path) == checkpoint(unbroken / "search")
    assert epochs(tmp_path) == epochs(unbroken / "search")


def test_an_interrupted_step_is_finished_and_kept(tmp_path: Path) -> None:
    calls: list[int] = []

    def before(call: int) -> None:
        calls.append(call)
        sends(signal.SIGINT, 3)(call)

    with pytest.raises(RunInterruptedError, match="after 0 of 3 epochs and 2 steps"):
        search(tmp_path, before)
    assert calls == [1, 2, 3, 4]
    assert "Stopped after 0 of 3 epochs" in (tmp_path / "log.txt").read_text()


def test_an_interrupted_evaluation_begins_again_with_the_same_images(tmp_path: Path) -> None:
    def evaluated(out: Path, at: int | None = None) -> list[float]:
        seen: list[float] = []
        space = ToySpace()
        space.module.register_forward_pre_hook(
            lambda net, images: None if net.training else seen.append(float(images[0].sum()))
        )
        one = SEARCH.replace("epochs", 1)
        if at:
            with pytest.raises(RunInterruptedError):
                search(out, sends(signal.SIGINT, at), one)
        search(out, settings=one, space=space, resume=at is not None)
        return seen

    assert evaluated(tmp_path / "a", at=8) == evaluated(tmp_path / "b")


def test_an_interrupted_second_order_search_and_a_training_resume_to_the_same_bytes(
    unbroken: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunInterruptedError):
        search(tmp_path / "second", sends(signal.SIGINT, 8), SECOND)
    search(tmp_path / "second", settings=SECOND, resume=True)
    assert checkpoint(tmp_path / "second") == checkpoint(unbroken / "second")
    with pytest.raises(RunInterruptedError):
        train(tmp_path / "train", sends(signal.SIGINT, 4))
    train(tmp_path / "train", resume=True)
    assert checkpoint(tmp_path / "train") == checkpoint(unbroken / "train")


def test_a_run_stopped_again_and_again_gives_the_same_bytes(unbroken: Path, tmp_path: Path) -> None:
    for attempt in range(20):
        try:
            search(tmp_path, sends(signal.SIGINT, 4), resume=attempt > 0)
            break
        except RunInterruptedError:
            continue
    assert attempt > 3
    assert checkpoint(tmp_path) == checkpoint(unbroken / "search")
    assert epochs(tmp_path) == epochs(unbroken / "search")


def test_an_interrupted_test_is_begun_again(unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(RunInterruptedError, match="after 3 of 3 epochs;"):
        train(tmp_path, sends(signal.SIGINT, 10))
    assert train(tmp_path, resume=True) == train(tmp_path, resume=True)
    assert checkpoint(tmp_path) == checkpoint(unbroken / "train")


def test_outside_the_main_thread_there_are_no_signals_to_take(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(search, tmp_path).result()
    assert len(epochs(tmp_path)) == 3


def test_a_signal_that_is_ignored_stays_ignored(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        search(tmp_path, sends(signal.SIGINT, 3))
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(epochs(tmp_path)) == 3


def test_a_second_signal_stops_at_once(tmp_path: Path) -> None:
    def before(call: int) -> None:
        if call in (3, 4):  # of one step
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, before)
    assert checkpoint(tmp_path)


def test_checkpoints_between_epochs_are_as_good(unbroken: Path, tmp_path: Path) -> None:
    class CrashError(Exception):
        pass

    def before(call: int) -> None:
        if call == 15:
            raise CrashError

    with pytest.raises(CrashError):
        search(tmp_path, before, checkpoint_every=2)
    calls: list[int] = []
    search(tmp_path, calls.append, resume=True)
    assert len(calls) == 2 + 3 + 6 + 3  # a step, an evaluation, and an epoch
    assert checkpoint(tmp_path) == checkpoint(unbroken / "search")


def test_a_finished_run_can_be_resumed_to_its_result(unbroken: Path, tmp_path: Path) -> None:
    first = search(tmp_path)

    def never(call: int) -> None:
        raise AssertionError("nothing is left to do")

    again = search(tmp_path, never, resume=True)
    assert checkpoint(tmp_path) == checkpoint(unbroken / "search")
    assert (again.decisions, again.history, again.epoch) == (first.decisions, first.history, first.epoch)
    assert all(torch.equal(again.alphas[path], alpha) for path, alpha in first.alphas.items())


def test_workers_change_nothing_between_unbroken_and_resumed(tmp_path: Path) -> None:
    settings = SEARCH.replace("workers", 1).replace("epochs", 2)
    search(tmp_path / "a", settings=settings)
    with pytest.raises(RunInterruptedError):
        search(tmp_path / "b", sends(signal.SIGINT, 4), settings)
    search(tmp_path / "b", settings=settings, resume=True)
    assert checkpoint(tmp_path / "a") == checkpoint(tmp_path / "b")


def test_a_run_is_not_overwritten_unless_asked(tmp_path: Path) -> None:
    search(tmp_path)
    before = checkpoint(tmp_path), (tmp_path / "log.txt").read_bytes()
    with pytest.raises(CheckpointError, match="holds a run already"):
        search(tmp_path)
    assert (checkpoint(tmp_path), (tmp_path / "log.txt").read_bytes()) == before
    search(tmp_path, overwrite=True)
    assert len(epochs(tmp_path)) == 3


def test_resuming_something_else_is_refused(unbroken: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        search(tmp_path, resume=True)
    with pytest.raises(CheckpointError, match="is of a training, not of a search"):
        run_search(ToySpace(), toy_data(), SEARCH, options(unbroken / "train", resume=True))
    other = RunOptions(unbroken / "search", device="cpu", resume=True, quiet=True, fingerprint="other")
    with pytest.raises(CheckpointError, match="another space, or of other settings"):
        run_search(ToySpace(), toy_data(), SEARCH, other)
    with pytest.raises(CheckpointError, match=r"of other settings \(`epochs` was 3, and is 4\): it cannot"):
        run_search(ToySpace(), toy_data(), SEARCH, replace(other, changed=("`epochs` was 3, and is 4",)))
    space = ToySpace()
    space.alphas["Cell.n2.from_x"] = torch.nn.Parameter(torch.zeros(3))
    with pytest.raises(CheckpointError, match=r"lacks the alpha 'Cell.n2.from_x'"):
        search(unbroken / "search", resume=True, space=space)


def test_divergence_is_said_in_a_sentence_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    space = ToySpace()

    def before(call: int) -> None:
        if call == 12:  # the weight pass of the second epoch's first or second step
            with torch.no_grad():
                space.module.head.weight.fill_(torch.nan)

    with pytest.raises(DivergedError, match=r"in epoch 2: (loss|a parameter).* is not finite; .*lower learning rate"):
        search(tmp_path, before, space=space)
    search(tmp_path, resume=True)
    assert len(epochs(tmp_path)) == 3


def test_a_training_that_diverges_is_called_one(tmp_path: Path) -> None:
    net = ToyNet()
    with torch.no_grad():
        next(net.module.parameters()).fill_(torch.nan)
    with pytest.raises(DivergedError, match=r"^The training diverged in epoch 1: "):
        run_train(net, toy_data(), TRAIN, options(tmp_path))


def test_a_last_step_that_diverges_is_not_saved(tmp_path: Path) -> None:
    space = ToySpace()
    space.module.head.weight.register_hook(lambda gradient: gradient * torch.inf)
    one_step = SEARCH.replace("batch", 24)
    with pytest.raises(DivergedError, match="The search diverged in epoch 1"):
        search(tmp_path, settings=one_step, space=space)
    search(tmp_path, resume=True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_running_out_of_memory_comes_with_advice(tmp_path: Path, error: Exception) -> None:
    def before(call: int) -> None:
        if call == 12:
            raise error

    with pytest.raises(OutOfMemoryError, match="smaller --batch-size"):
        search(tmp_path, before)
    assert len(epochs(tmp_path)) == 1
    assert not is_out_of_memory(RuntimeError("shape mismatch"))


def test_two_processes_agree_and_resume_exactly(tmp_path: Path) -> None:
    run = toy("processes", str(tmp_path))
    assert run.returncode == 0, run.stderr
    whole = (tmp_path / "whole-0").read_text()
    assert [(tmp_path / name).read_text() for name in ("whole-1", "resumed-0", "resumed-1")] == [whole] * 3
    assert epochs(tmp_path / "stopped") == epochs(tmp_path / "whole")
    assert len(epochs(tmp_path / "whole")) == 3
