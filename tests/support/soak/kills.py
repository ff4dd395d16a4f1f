"""SIGKILL at random instants: a run that goes on gives the bytes of one that was not killed, and leaves no litter."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from .case import Case
from .runs import Job, begin, content, differences, finish, has_begun, prepare, scratch, wait_for_checkpoints, whole

MOST_KILLS = 4
"""Of one run."""

BEGUN = 0.8
"""The share of the kills that wait for checkpoints, of which each epoch has several; the others strike at the start."""

MOST_CHECKPOINTS = 12
"""Of one process before it is killed; after them a fraction of a second passes, longer than a step."""


def check_kill(case: Case) -> str | None:
    """Whether a run that is killed, several times perhaps, ends as if it had not been."""
    source = case.random()
    job = source.choice(list(Job))
    unbroken = whole(job)
    folder = scratch() / f"kill-{case.number}"
    folder.mkdir()
    prepare(folder)
    try:
        for _ in range(source.randrange(1, MOST_KILLS + 1)):
            pid = begin(folder, *job.words, *going_on(folder))
            if source.random() < BEGUN:
                wait_for_checkpoints(pid, folder, source.randrange(1, MOST_CHECKPOINTS))
                time.sleep(source.uniform(0, 0.03))
            else:
                time.sleep(source.uniform(0, 0.5))
            _end(pid)
        done = finish(folder, *job.words, *going_on(folder))
        if done.code:
            return f"{job.name} does not go on: exit code {done.code}: {done.said[-300:]}"
        wrong = differences(content(folder), unbroken.content)
        return wrong and f"{job.name}: {wrong}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def going_on(folder: Path) -> tuple[str, ...]:
    """What the user adds to the command: nothing where the run had not begun."""
    return ("--resume",) if has_begun(folder) else ()
