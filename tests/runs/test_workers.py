"""Several processes that judge at once: killed, interrupted and refused, and the same scores as one process has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from compiler import search
from compiler.program.overrides import Override, override_of, read_override
from compiler.program.request import Request
from compiler.runs import local_workers
from compiler.runs.config import RunConfig
from compiler.runs.job import Job, PlainOverride
from compiler.runs.local_workers import LocalWorkers, WorkerError
from compiler.runs.plan import plan_search
from compiler.runs.search import search as run_search
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.explore.study import Judged
from compiler.searcher.explore.trials import Asked
from compiler.searcher.settings.words import Applied
from compiler.util.errors import UsageError
from compiler.util.threads import COUNT, divided
from tests.runs.test_explore import ALONE, TEXT, file, trials
from tests.support.paths import ROOT
from tests.support.processes import children, runs, until

__all__ = ["file"]

LONG = ALONE.replace("evolution(5, population = 2, tournament = 2)", "random(6)").replace("epochs = 2)", "epochs = 8)")


def judgements(folder: Path) -> set[tuple[object, ...]]:
    """What was judged, whatever the order: id, architecture, score."""
    return {(t["id"], t["number"], t["score"]) for t in trials(folder)[1:] if "score" in t}


def started(program: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "compiler", "search", str(program), "--out", str(out), "--workers", "2", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.mark.bench
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="asks /proc which processes there are")
def test_killed_workers_and_a_killed_run_lose_nothing(file: Path) -> None:
    """SIGKILL for a worker, for the run, then SIGTERM; what comes out is what one process finds."""
    file.write_text(LONG)
    alone, out = file.parent / "alone", file.parent / "out"
    search(file, alone)
    under_way = (out / "trials").glob
    run = started(file, out)
    until(lambda: list(under_way("*/checkpoint.safetensors")), "a training")
    os.kill(children(run.pid)[0], signal.SIGKILL)
    until(lambda: len(judgements(out)) >= 1 and list(under_way("*/checkpoint.safetensors")), "a trial")
    workers = children(run.pid)
    assert len(workers) == 2
    run.kill()
    run.wait()
    until(lambda: not any(map(runs, workers)), "workers end with the process that asks")
    told = judgements(out)
    assert told
    run = started(file, out, "--resume")
    until(lambda: len(judgements(out)) > len(told), "another trial")
    run.terminate()
    said, _ = run.communicate()
    assert run.returncode == 130, said
    assert f"of 6 trials; to go on from {out}/trials.jsonl" in said
    run = started(file, out, "--resume")
    said, _ = run.communicate()
    assert run.returncode == 0, said
    assert judgements(out) == judgements(alone)
    assert (out / "derived.hsp").read_bytes() == (alone / "derived.hsp").read_bytes()
    assert not (out / "trials").exists()


def test_workers_judge_by_the_weights_of_a_supernet(file: Path) -> None:
    """They have the supernet of the process that asks, from its checkpoint."""
    file.write_text(TEXT.replace("evolution(9, population = 3, tournament = 2)", "random(6)"))
    alone, out = file.parent / "alone", file.parent / "out"
    search(file, alone)
    run_search(plan_search(Request(file), RunConfig(out, quiet=True, workers=2)), say=lambda _: None)
    assert judgements(out) == judgements(alone)
    assert (out / "derived.hsp").read_bytes() == (alone / "derived.hsp").read_bytes()


# ---------------------------------------------------------------- workers that are not the real ones

FAKE = """
import json, os, sys
os.write(2, (os.environ["OMP_NUM_THREADS"] + " threads\\n").encode())
job = json.loads(sys.stdin.readline())
for line in sys.stdin:
    asked = json.loads(line)
    if asked["number"] == 13:
        os.write(2, b"killed\\n")
        os.kill(os.getpid(), 9)
    if asked["number"] == 14:
        print(json.dumps({"id": asked["id"], "error": "no such data"}), flush=True)
    elif asked["number"] != 15:
        print(json.dumps({"id": asked["id"], "score": asked["number"] / 100}), flush=True)
"""
"""Number 13 kills it, 14 cannot be judged by anybody, 15 takes for ever.

Each line of the log is one write: two workers append to one file.
"""


@pytest.fixture
def workers(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalWorkers]:
    monkeypatch.setattr(local_workers, "COMMAND", (sys.executable, "-c", FAKE))
    monkeypatch.setenv(COUNT, "8")
    plan = plan_search(Request(file), RunConfig(file.parent, workers=2))
    with LocalWorkers(Job.of(plan, plan.phases[0]), 2, lambda: None) as made:
        yield made


def asked(id: int, number: int) -> Asked:
    return Asked(id=id, number=number, budget=1)


def test_a_trial_that_kills_its_worker_is_a_trial_with_a_reason(workers: LocalWorkers, file: Path) -> None:
    """After three deaths; each worker has its share of the threads."""
    workers.start(asked(0, 13))
    workers.start(asked(1, 50))
    found = {done.id: done for done in (workers.wait(), workers.wait())}
    assert found[0].failed == "its worker ended 3 times, with signal 9: see workers.txt"
    assert found[1] == Judged(1, 0.5)
    workers.start(asked(2, 60))
    assert workers.wait() == Judged(2, 0.6)
    assert len(workers.workers) == 2
    said = file.with_name("workers.txt").read_text().splitlines()
    assert said.count("killed") == 3
    assert set(said) == {"killed", "4 threads"}


def test_what_no_worker_can_do_ends_the_run(workers: LocalWorkers) -> None:
    workers.start(asked(0, 14))
    with pytest.raises(WorkerError, match="no such data"):
        workers.wait()


def test_a_run_that_is_asked_to_stop_does_not_wait(workers: LocalWorkers) -> None:
    def stop() -> None:
        raise RunInterruptedError("asked to stop")

    workers.start(asked(0, 15))
    workers.stopped = stop
    with pytest.raises(RunInterruptedError):
        workers.wait()


# ---------------------------------------------------------------- the job


def test_a_job_is_plain_data(file: Path) -> None:
    """It compiles to the program that it was made of, with all overrides."""
    overrides = (
        read_override("derive=random(7)"),
        read_override("epochs=1 + 2"),
        override_of("weights__lr", 0.5),
        override_of("seed", 11),
        replace(override_of("data", "fake(classes = 3, channels = 1, size = 8)"), keeps=True),
    )
    plan = plan_search(Request(file, overrides), RunConfig(file.parent / "out", workers=2, device="cpu"))
    job = Job.model_validate_json(Job.of(plan, plan.phases[0]).model_dump_json())
    again = job.plan()
    assert again.phases[0].settings == plan.phases[0].settings
    assert again.phases[0].settings.epochs == 3
    assert again.config == plan.config
    for value in (True, -3, 0.5, (1, (2, 3)), Applied("fake", (), {"classes": 3}), None):
        override = Override("data", value, "--data")
        assert PlainOverride.of(override).override().setting() == value


def test_workers_share_the_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COUNT, "8")
    assert [divided(count)[COUNT] for count in (1, 2, 3, 16)] == ["8", "4", "2", "1"]


def test_workers_without_trials_are_refused(file: Path) -> None:
    file.write_text(
        TEXT.replace("evolution(9, population = 3, tournament = 2)", "strongest").replace(
            "  judge = shared(images = 16, calibrate = 1)\n", ""
        )
    )
    with pytest.raises(UsageError, match="no explorer proposes any"):
        plan_search(Request(file), RunConfig(file.parent / "out", workers=2))
    file.write_text(TEXT)
    with pytest.raises(UsageError, match="one device each"):
        plan_search(Request(file), RunConfig(file.parent / "out", workers=2, devices=2))
