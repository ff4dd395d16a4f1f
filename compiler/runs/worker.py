"""A worker: a process that judges the trials of a job, one after the other.

    python -m compiler.runs.worker

The first line of standard input is the job, each further one a trial to be judged, and standard output gets a line for
each. The end of the input is the end of the process that asks, and ends this one at once, which writes no more then.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from dataclasses import replace
from typing import TextIO

from pydantic import BaseModel, ConfigDict, FiniteFloat

from compiler.analysis.architectures.space_list import Part
from compiler.searcher.engine.device.compute import deterministic
from compiler.searcher.engine.errors import RunInterruptedError
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.state import checkpoint
from compiler.searcher.explore.study import Judged, judged
from compiler.searcher.explore.trials import Asked
from compiler.searcher.relaxations import relaxed
from compiler.searcher.run_files import CHECKPOINT
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.util.errors import HdasError
from hdas_dsl.text.diagnostics import HspError

from .data import matching_data
from .job import Job
from .judges import RunJudge, judge_alone, shared_judge


class Answer(BaseModel):
    """What a worker says of a trial: how good it is; or, in ``error``, why no trial of this job can be judged."""

    model_config = ConfigDict(frozen=True)

    id: int
    score: FiniteFloat = 0.0
    failed: str = ""
    seconds: float = 0.0
    votes: dict[str, FiniteFloat] = {}
    error: str = ""

    @property
    def judged(self) -> Judged:
        """How good the trial is."""
        return Judged(self.id, self.score, self.failed, self.seconds, self.votes)


class Judging:
    """Judges the trials of a job.

    Args:
        job: it; the folder of the run has what earlier processes left there.

    Raises:
        HdasError: the job cannot be done here: the file, the data, or the device.
    """

    def __init__(self, job: Job) -> None:
        plan = job.plan()
        phase = plan.phases[0]
        part = Part(phase.name, plan.program, job.is_last)
        folder, config = plan.folder(phase), plan.config
        options = RunOptions(out=folder, device=config.device, resume=True, quiet=True)
        self.judge: RunJudge
        if isinstance(phase.settings.relax, NoRelaxation):
            self.judge = judge_alone(plan, part, phase, options)
        else:
            data = matching_data(phase.settings, phase.network, config)
            supernet = relaxed(phase.network, phase.settings, config.target(phase.settings), phase.built)
            tensors, _ = checkpoint.read(folder / CHECKPOINT)
            supernet.module.load_state_dict(checkpoint.unpack("module", tensors))
            self.judge = shared_judge(part, supernet, data, phase.settings, options)

    def __call__(self, asked: Asked) -> Answer:
        """Judge one trial; what makes all fail is an answer too."""
        with deterministic():
            found = judged(self.judge, self.judge.space, asked)
        return Answer(
            id=found.id, score=found.score, failed=found.failed, seconds=found.seconds, votes=dict(found.votes)
        )


def refused(asked: Asked, error: HdasError) -> Answer:
    """The answer of a worker that cannot judge any trial."""
    said = error.diagnostics[0].message if isinstance(error, HspError) else str(error)
    return Answer(id=asked.id, error=said)


def main() -> int:
    """Judge until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # What libraries print is not an answer.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    lines: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, lines), daemon=True).start()
    job = Job.model_validate_json(lines.get())
    judging: Judging | None = None
    while True:
        asked = Asked.model_validate_json(lines.get())
        try:
            judging = judging or Judging(job)
            answer = judging(asked)
        except RunInterruptedError as error:
            return error.exit_code
        except HdasError as error:
            answer = refused(asked, error)
        answers.write(answer.model_dump_json() + "\n")
        answers.flush()


def _read(source: TextIO, lines: queue.SimpleQueue[str]) -> None:
    for line in source:
        lines.put(line)
    os._exit(0)


def worker_job(job: Job, index: int, gpus: int) -> Job:
    """The job as one of several workers does it: on a device of its own, where there are several."""
    if gpus > 1 and job.config.device in ("auto", "cuda"):
        return job.model_copy(update={"config": replace(job.config, device=f"cuda:{index % gpus}")})
    return job


if __name__ == "__main__":
    sys.exit(main())
