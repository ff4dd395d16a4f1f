"""Several processes of this machine that judge the trials of a job at once (`--workers N`)."""

from __future__ import annotations

import selectors
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Self

import torch
from pydantic import ValidationError

from compiler.searcher.explore.study import Judged
from compiler.searcher.explore.trials import Asked
from compiler.searcher.run_files import WORKERS_LOG
from compiler.util.errors import RunError
from compiler.util.threads import divided

from .job import Job
from .worker import Answer, worker_job

COMMAND = (sys.executable, "-m", "compiler.runs.worker")
"""What a worker is."""
LOOK = 0.2
"""After so many seconds without an answer it is seen whether the user wants to stop."""
PATIENCE = 60
"""So many seconds a worker has to write the checkpoint of its training, when it is asked to stop."""
MOST_DEATHS = 3
"""A trial whose worker was killed so often is a failed trial."""


class WorkerError(RunError):
    """A worker cannot judge the trials of a run."""


@dataclass
class LocalWorkers:
    """Processes that judge, ``count`` at once, each with its share of the processors.

    A process that is killed is started again, and so is its trial, which goes on from its own checkpoint.

    Args:
        job: what they judge.
        count: how many there are at most; one starts when it is needed.
        stopped: raises where the user has asked to stop; called while all wait.
    """

    job: Job
    count: int
    stopped: Callable[[], None]
    log: IO[bytes] = field(init=False)
    workers: list[_Worker] = field(default_factory=list)
    deaths: Counter[int] = field(default_factory=Counter)

    def start(self, asked: Asked) -> None:
        """Have a worker that is free judge a trial."""
        worker = next((item for item in self.workers if item.asked is None), None)
        if worker is None:
            worker = self._started(len(self.workers))
            self.workers.append(worker)
        worker.ask(asked)

    def wait(self) -> Judged:
        """The next trial that ends.

        Raises:
            WorkerError: no trial of this run can be judged.
        """
        while True:
            self.stopped()
            for worker in self._answering():
                answer, asked = worker.answer(), worker.asked
                assert asked is not None
                if answer is not None:
                    worker.asked = None
                    if answer.error:
                        raise WorkerError(answer.error)
                    return answer.judged
                if (found := self._again(worker, asked)) is not None:
                    return found

    def _answering(self) -> list[_Worker]:
        """The workers that have said something, or ended, after at most a moment."""
        with selectors.DefaultSelector() as ready:
            for worker in self.workers:
                if worker.asked is not None:
                    ready.register(worker.output, selectors.EVENT_READ, worker)
            return [key.data for key, _ in ready.select(LOOK)]

    def _again(self, dead: _Worker, asked: Asked) -> Judged | None:
        """Begin the trial of a worker that ended again; the trial itself where that happens too often."""
        code = dead.process.wait()
        self.deaths[asked.id] += 1
        place = self.workers.index(dead)
        self.workers[place] = self._started(place)
        if self.deaths[asked.id] < MOST_DEATHS:
            self.workers[place].ask(asked)
            return None
        by = f"signal {-code}" if code < 0 else f"exit code {code}"
        return Judged(asked.id, 0.0, f"its worker ended {MOST_DEATHS} times, with {by}: see {WORKERS_LOG}")

    def _started(self, index: int) -> _Worker:
        job = worker_job(self.job, index, torch.cuda.device_count())
        process = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=divided(self.count),
            start_new_session=True,  # Ctrl-C is for the process that asks; it has the workers stop.
        )
        return _Worker(process, job)

    def __enter__(self) -> Self:
        folder = self.job.config.out / self.job.phase if self.job.phase else self.job.config.out
        self.log = (folder / WORKERS_LOG).open("ab")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have the workers write their checkpoints and end."""
        for worker in self.workers:
            worker.end()
        for worker in self.workers:
            worker.ended()
        self.log.close()


class _Worker:
    """One process, and the trial that it judges."""

    def __init__(self, process: subprocess.Popen[bytes], job: Job) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.process, self.input, self.output = process, process.stdin, process.stdout
        self.asked: Asked | None = None
        self._send(job.model_dump_json())

    def ask(self, asked: Asked) -> None:
        """Give it a trial."""
        self.asked = asked
        self._send(asked.model_dump_json())

    def _send(self, line: str) -> None:
        with suppress(BrokenPipeError):  # It is dead, which the end of its output says.
            self.input.write(line.encode() + b"\n")
            self.input.flush()

    def answer(self) -> Answer | None:
        """What it says of its trial; None where it is dead."""
        try:
            return Answer.model_validate_json(self.output.readline())
        except ValidationError:
            return None

    def end(self) -> None:
        """Ask it to end: a training that is under way writes its checkpoint."""
        if self.asked is None:
            self.process.kill()
        else:
            self.process.send_signal(signal.SIGTERM)

    def ended(self) -> None:
        """Wait until it has ended."""
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        with suppress(BrokenPipeError):
            self.input.close()
