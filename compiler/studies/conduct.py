"""Carrying a study out: several processes at a time, each a run of its own; stopped, killed and resumed anywhere."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue

from filelock import FileLock

from compiler.runs.folder import held
from compiler.searcher.engine.errors import RunInterruptedError
from compiler.searcher.engine.state.signals import Stop
from compiler.searcher.run_files import CHECKPOINT, LOCK, TRIALS
from compiler.util.files import atomic_write
from compiler.util.share import Share
from compiler.util.threads import divided

from .plan import Run, Step, StudyPlan
from .report import rows_of, runs_csv, table_csv
from .results import LOGS, TABLES, Result, ResultLog, log_of, result_of

ATTACHED = (sys.executable, "-m", "compiler.commands.attached")
"""`hdas` as a process that ends with the one that started it."""
LOOK = 0.2
"""After so many seconds it is seen whether the user wants to stop."""


@dataclass(frozen=True)
class StudyConfig:
    """Where and how a study happens.

    Attributes:
        out: its folder.
        workers: how many runs at once.
        resume: go on with the study in ``out``; runs that failed are tried again.
        device: of all runs; with ``auto`` or ``cuda`` each worker has a GPU of its own, where there are several.
        plugins: that derived files may name.
        share: carry out this share of the runs alone; those that failed are tried again.
    """

    out: Path
    workers: int = 1
    resume: bool = False
    device: str = "auto"
    plugins: Sequence[str] = ()
    share: Share | None = None


def conduct(plan: StudyPlan, config: StudyConfig, say: Callable[[str], None]) -> dict[str, Result]:
    """Carry out all runs that have no result yet, and write the tables; the results by the names of the runs.

    Raises:
        UsageError: the folder is of another study.
        RunInterruptedError: SIGINT or SIGTERM asked to stop; every run that ended is kept, others have checkpoints.
    """
    log = ResultLog(config.out, config.share)
    with held(log.folder):
        results = log.start(plan, config.resume or config.share is not None)
        plan = plan if config.share is None else plan.part(config.share)
        for run in plan.runs:
            if run.refused and run.name not in results:
                results[run.name] = Result(combination=run.combination, seed=run.seed, failed=f"refused: {run.refused}")
                log.append(results[run.name])
        left = [run for run in plan.runs if run.name not in results or (results[run.name].failed and not run.refused)]
        with _Pool(config) as pool:
            futures = {pool.submit(run) for run in left}
            try:
                while futures:
                    done, futures = wait(futures, LOOK, FIRST_COMPLETED)
                    for future in done:
                        result = future.result()
                        if result is None:
                            continue
                        results[result.name] = result
                        log.append(result)
                        ended = sum(run.name in results for run in plan.runs)
                        say(f"{ended} of {len(plan.runs)}: {_sentence(result)}")
                    if pool.stop.requested:
                        raise RunInterruptedError(
                            f"Stopped after {len(results)} of {len(plan.runs)} runs; "
                            "run the same command with --resume to go on."
                        )
            finally:
                rows = rows_of(plan, results)
                for name, text in zip(TABLES, (table_csv(rows), runs_csv(plan, results)), strict=True):
                    atomic_write(log.folder / name, text)
    return results


def _sentence(result: Result) -> str:
    if result.failed:
        return f"{result.name} failed: {result.failed}"
    found = [("score", result.score, result.judged), (f"test {result.metric.name}", result.tested, result.metric)]
    said = ", ".join(f"{name} {metric.show(value, 2)}" for name, value, metric in found if value is not None)
    return f"{result.name}, {said or 'done'}, {result.seconds:,.0f} s"


@dataclass
class _Pool:
    """Threads, each of which waits for one process at a time."""

    config: StudyConfig
    stop: Stop = field(default_factory=Stop)
    children: set[subprocess.Popen[bytes]] = field(default_factory=set)
    places: SimpleQueue[int] = field(default_factory=SimpleQueue)

    def __enter__(self) -> _Pool:
        for place in range(self.config.workers):
            self.places.put(place)
        (self.config.out / LOGS).mkdir(exist_ok=True)
        self.threads = ThreadPoolExecutor(self.config.workers)
        self.listening = self.stop.listening()
        self.listening.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """End what runs: the end of its input is for a process to write its checkpoint and end."""
        self.stop.requested = True
        for child in tuple(self.children):
            _close(child)
        self.threads.shutdown(cancel_futures=True)
        self.listening.__exit__(None, None, None)

    def submit(self, run: Run) -> Future[Result | None]:
        """Have a run carried out when a thread is free."""
        return self.threads.submit(self._carried_out, run)

    def _carried_out(self, run: Run) -> Result | None:
        """The result of a run; None where it was stopped."""
        since, place, failed = time.monotonic(), self.places.get(), ""
        try:
            for step in run.steps:
                if failed or self.stop.requested or (self.config.out / step.folder / step.result).is_file():
                    continue
                failed = self._process(run, step, place)
        finally:
            self.places.put(place)
        if self.stop.requested:
            return None
        return result_of(run, self.config.out, self.config.plugins, failed, time.monotonic() - since)

    def _process(self, run: Run, step: Step, place: int) -> str:
        """Run a command to its end; why it failed, or nothing."""
        folder = self.config.out / step.folder
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK):
            pass  # What a killed study left is ending.
        begun = any(path.name in (CHECKPOINT, TRIALS) for path in folder.glob("**/*"))
        words = [str(self.config.out / word) if word.startswith(f"{run.name}/") else word for word in step.words]
        words += ["--out", str(folder), *(["--resume"] if begun else []), *self._device(place)]
        path = log_of(self.config.out, run)
        with path.open("ab") as log:
            child = subprocess.Popen(
                [*ATTACHED, *words],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=divided(self.config.workers),
                start_new_session=True,
            )
            self.children.add(child)
            if self.stop.requested:
                _close(child)
            code = child.wait()
            _close(child)
            self.children.discard(child)
        if not code:
            return ""
        if code < 0:
            return f"{step.words[0]} was killed by signal {-code}: see {path}"
        last = next((line for line in reversed(path.read_text(errors="replace").splitlines()) if line.strip()), "")
        return f"{step.words[0]}: {last.strip()}"

    def _device(self, place: int) -> list[str]:
        """The words for the device of a worker."""
        device = self.config.device
        if device in ("auto", "cuda") and self.config.workers > 1:
            import torch

            if (gpus := torch.cuda.device_count()) > 1:
                device = f"cuda:{place % gpus}"
        return ["--device", device]


def _close(child: subprocess.Popen[bytes]) -> None:
    if child.stdin is not None:
        with suppress(OSError):
            child.stdin.close()
