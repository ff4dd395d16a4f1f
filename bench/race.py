"""Several contenders side by side: times of alternating steps, peaks of fresh processes, and the machine."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import torch
from contender import Contender
from pydantic import BaseModel
from worker import Worker


class Machine(BaseModel):
    """Where figures come from."""

    processor: str
    cores: int
    threads: int
    memory_gib: float
    device: str
    system: str
    python: str
    torch: str

    @classmethod
    def here(cls, device: str, threads: int | None) -> Machine:
        import os

        facts = dict(_cpu_facts())
        cuda = torch.device(device).type == "cuda"
        return cls(
            processor=facts.get("model name", platform.processor() or platform.machine()),
            cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
            threads=threads or torch.get_num_threads(),
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            device=torch.cuda.get_device_name(device) if cuda else device,
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            torch=torch.__version__,
        )


def _cpu_facts() -> Iterator[tuple[str, str]]:
    path = Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.exists() else ():
        name, _, value = line.partition(":")
        yield name.strip(), value.strip()


class Times(BaseModel):
    """Seconds of a step: the median, the fastest, and each in the order taken."""

    median: float
    fastest: float
    each: list[float]


class Peak(BaseModel):
    """Bytes of a fresh process: before the first step at full size, the highest, and the difference."""

    baseline: int
    peak: int
    above: int
    reset: bool


class Lane(BaseModel):
    """What a contender takes."""

    time: Times
    memory: Peak


def race(contenders: Sequence[Contender], rounds: int, seconds: float) -> list[Lane]:
    """The memory of every contender in a fresh process, and then its steps, in turn with the others'.

    There are ``rounds`` steps of each, or as many, but at least three, as fit into ``seconds``.
    """
    with ExitStack() as stack:
        workers = [stack.enter_context(Worker(contender)) for contender in contenders]
        each: list[list[float]] = [[] for _ in workers]
        peaks = [peak(worker) for worker in workers]
        started = time.monotonic()
        for number in range(rounds):
            for worker, found in zip(workers, each, strict=True):
                found.append(worker.step())
            say(f"round {number + 1}: " + ", ".join(f"{found[-1]:.3f} s" for found in each))
            if number >= 2 and time.monotonic() - started > seconds:
                break
    times = [Times(median=median(found), fastest=min(found), each=found) for found in each]
    return [Lane(time=time, memory=memory) for time, memory in zip(times, peaks, strict=True)]


def peak(worker: Worker) -> Peak:
    """The memory of a process that has taken no step yet."""
    held = worker.memory()
    say(f"{worker.contender.name}: {held.above / 2**20:.0f} MiB above {held.baseline / 2**20:.0f} MiB")
    return Peak(baseline=held.baseline, peak=held.peak, above=held.above, reset=held.reset)


def say(text: str) -> None:
    """Progress, for a person who waits."""
    print(text, file=sys.stderr, flush=True)
