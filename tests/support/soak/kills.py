"""SIGKILL at random instants: a run that goes on gives the bytes of one that was not killed, and leaves no litter."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from .case import Case
from .runs import Job, begin, content, differences, finish, prepare, scratch, whole

MOST_KILLS = 4
"""Of one run."""


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
            time.sleep(source.uniform(0, unbroken.seconds))
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        done = finish(folder, *job.words, *going_on(folder))
        if done.code:
            return f"{job.name} does not go on: exit code {done.code}: {done.said[-300:]}"
        wrong = differences(content(folder), unbroken.content)
        return wrong and f"{job.name}: {wrong}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def going_on(folder: Path) -> tuple[str, ...]:
    """What the user adds to the command: nothing where the run had not begun."""
    begun = any((folder / "run").rglob("checkpoint.safetensors")) or any((folder / "run").rglob("derived.hsp"))
    return ("--resume",) if begun else ()
