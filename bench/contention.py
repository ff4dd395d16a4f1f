"""A step of a supernet beside other busy processes: how much longer it takes than alone, for both lowerings.

    python bench/contention.py spaces/hdas_digits.hsp --phase micro [--busy 1 2] [--json]

A step is that of supernet.py. Each lowering has a process of its own, whose threads are as many, and wait as, in our
commands by default; `--threads` sets their number, and OMP_WAIT_POLICY in the environment how they wait. Busy processes
count in a loop; they are stopped while they are not asked for. In each round every lowering takes a step alone and one
beside each number of busy processes; the medians count. Start it on a machine where nothing else runs.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from contender import Contender, Ours
from pydantic import BaseModel
from race import Machine, Times, say
from supernet import add_arguments, case_of
from worker import RefusedError, Worker

from hdas_dsl.units import LIBRARY

SETTLE = 0.2
"""Seconds that the system has to spread processes over the processors."""


class Beside(BaseModel):
    """Steps of a lowering beside so many busy processes. ``ratio``: to the median alone."""

    lowering: Ours
    busy: int
    time: Times
    ratio: float


class Report(BaseModel):
    """The figures of one space; the names are those of ``--json``."""

    space: str
    overrides: tuple[str, ...]
    batch: int
    machine: Machine
    steps: list[Beside]


class Others:
    """Busy processes, of which some run."""

    def __init__(self, stack: ExitStack, count: int) -> None:
        self.processes = [stack.enter_context(_counting()) for _ in range(count)]

    def run(self, count: int) -> None:
        """Let so many of them run."""
        for number, process in enumerate(self.processes):
            process.send_signal(signal.SIGCONT if number < count else signal.SIGSTOP)
        time.sleep(SETTLE)


@contextmanager
def _counting() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def measure(contenders: Sequence[Contender], counts: Sequence[int], rounds: int) -> list[Beside]:
    """The steps of each contender beside each number of busy processes, first none."""
    every = (0, *(count for count in counts if count))
    each: dict[tuple[Ours, int], list[float]] = {}
    with ExitStack() as stack:
        others = Others(stack, max(every))
        others.run(0)
        workers = [stack.enter_context(Worker(contender)) for contender in contenders]
        for worker in workers:
            worker.step()
        for number in range(rounds):
            for busy in every:
                others.run(busy)
                for worker in workers:
                    assert isinstance(worker.contender.kind, Ours)
                    each.setdefault((worker.contender.kind, busy), []).append(worker.step())
            others.run(0)
            say(f"round {number + 1} of {rounds}")
    return [
        Beside(
            lowering=lowering,
            busy=busy,
            time=Times(median=median(taken), fastest=min(taken), each=taken),
            ratio=median(taken) / median(each[lowering, 0]),
        )
        for (lowering, busy), taken in each.items()
    ]


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {' '.join(found.overrides)}, batch {found.batch}, {found.machine.processor}, "
        f"{found.machine.cores} cores, torch {found.machine.torch}",
        "",
        "| lowering | busy processes | step, median (fastest) | of alone |",
        "|---|---|---|---|",
    ]
    for step in found.steps:
        time_ = f"{step.time.median:.3f} s ({step.time.fastest:.3f} s)"
        lines.append(f"| {step.lowering.value} | {step.busy} | {time_} | {step.ratio:.2f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", type=Path, default=LIBRARY / "darts.hsp", help="a .hsp file")
    parser.add_argument("--phase", help="which phase's network, where a file searches in phases")
    parser.add_argument("--network", help="which network, where a file has several")
    parser.add_argument("--busy", nargs="+", type=int, default=[1, 2], metavar="N", help="busy processes (1 2)")
    add_arguments(parser)
    args = parser.parse_args()
    case = case_of(args, args.space)
    try:
        steps = measure([Contender(case=case, kind=kind) for kind in Ours], args.busy, args.rounds)
    except RefusedError as error:
        parser.exit(1, f"{error}\n")
    found = Report(
        space=str(args.space),
        overrides=case.overrides,
        batch=case.batch,
        machine=Machine.here(args.device, args.threads),
        steps=steps,
    )
    print(json.dumps(found.model_dump(mode="json")) if args.json else table(found), flush=True)


if __name__ == "__main__":
    main()
