"""Cases in processes of their own, each with a limit of time and memory; a process that dies is replaced.

The limits are the kernel's: SIGPROF ends a process after so much of its own time, SIGALRM one that waits for ever, and
an allocation beyond the limit fails. A process is forked, so that what its parent has loaded is there at once.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .case import Case, Check

CASES_OF_A_PROCESS = 500
"""After so many the process is replaced: what they leave in memory has a bound."""

CASES_OF_A_COLLECTION = 50


@dataclass(frozen=True)
class Limits:
    """What a case may take."""

    cpu: float = 5.0
    """Seconds of the process's own time."""
    wall: float = 120.0
    """Seconds until a process that computes nothing is ended."""
    memory: int = 1 << 30
    """Bytes beyond what the process has before its first case."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case; ``wrong`` is None where all is right."""

    case: Case
    wrong: str | None


def outcomes(check: Check, cases: Sequence[Case], limits: Limits) -> Iterator[Outcome]:
    """What becomes of each case, in order."""
    rest = list(cases)
    while rest:
        batch = rest[:CASES_OF_A_PROCESS]
        done, status = 0, 0
        for found in _process(check, batch, limits):
            if isinstance(found, Outcome):
                done += 1
                yield found
            else:
                status = found
        rest = rest[done:]
        if done < len(batch):
            yield Outcome(rest.pop(0), _death(status, limits))


def _death(status: int, limits: Limits) -> str:
    """Why a process ended before its case did."""
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    match number:
        case signal.SIGPROF:
            return f"it takes more than {limits.cpu:g} s of CPU time"
        case signal.SIGALRM:
            return f"it hangs: nothing after {limits.wall:g} s"
    return f"it ends the process: signal {number}" if number else f"it ends the process: code {status >> 8}"


def _process(check: Check, batch: Sequence[Case], limits: Limits) -> Iterator[Outcome | int]:
    """The outcomes of a batch in one process, then how the process ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(reader)
            _work(check, batch, limits, writer)
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, encoding="utf-8") as answers:
        for case, line in zip(batch, answers, strict=False):
            if line.endswith("\n"):
                yield Outcome(case, json.loads(line))
    yield os.waitpid(pid, 0)[1]


def _work(check: Check, batch: Sequence[Case], limits: Limits, writer: int) -> None:
    """What the process does: one line for each case."""
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    for ending in (signal.SIGPROF, signal.SIGALRM):
        signal.signal(ending, signal.SIG_DFL)
    gc.disable()  # As in the commands; what the cases leave is collected now and then.
    gc.freeze()
    for number, case in enumerate(batch):
        limited(limits)
        wrong = found(check, case)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(writer, (json.dumps(wrong) + "\n").encode())
        if (number + 1) % CASES_OF_A_COLLECTION == 0:
            gc.collect()


def limited(limits: Limits) -> None:
    """Put this process under limits, from now on."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (used + limits.memory, most))
    signal.setitimer(signal.ITIMER_PROF, limits.cpu)
    signal.setitimer(signal.ITIMER_REAL, limits.wall)


def found(check: Check, case: Case) -> str | None:
    """What a check finds; an exception is a finding."""
    try:
        return check(case)
    except MemoryError:
        return "it takes more memory than the limit"
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:300]} ({frame.filename.rsplit('/', 1)[-1]}:{frame.lineno})"
