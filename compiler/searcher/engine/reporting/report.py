"""Reports of a run to people and machines. None of them is read back, and none can change what a run computes."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.protocol import RunOptions

from .records import EpochRecord


@dataclass(frozen=True)
class Plan:
    """What a run is going to do, and how much of it is done."""

    kind: str
    epochs: int
    steps: int
    epoch: int = 0
    step: int = 0

    @property
    def fresh(self) -> bool:
        """Whether nothing is done yet."""
        return self.epoch == self.step == 0


class Sink(Protocol):
    """One way to report."""

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """The run starts, or goes on after the epochs of ``history``."""

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        """A step is done; ``means`` are the epoch's so far, where they were looked at."""

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """An epoch is done and its checkpoint written."""

    def note(self, text: str) -> None:
        """A sentence about the run as a whole."""

    def close(self, error: BaseException | None) -> None:
        """The run ends, well or by an error."""


class Report:
    """All sinks of a run; only the main process has any. Open while the run goes on."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks
        self._since = time.monotonic()

    @classmethod
    def of(cls, run: RunOptions, compute: Compute) -> Report:
        """The sinks that a run asks for: log, history, events, and a display unless it is to be quiet."""
        from .logs import Events, History, Log
        from .terminal import display

        if not compute.main:
            return cls([])
        files: list[Sink] = [Log(run.out / "log.txt", run.title), History(run.out / "history.jsonl")]
        shown: list[Sink] = [] if run.quiet else [display(run.title)]
        return cls([*files, Events(run.out / "events"), *shown])

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        self._since = time.monotonic()
        for sink in self.sinks:
            sink.start(plan, history)

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        for sink in self.sinks:
            sink.step(epoch, step, means)

    def epoch(self, record: EpochRecord, before: EpochRecord | None) -> None:
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        for sink in self.sinks:
            sink.epoch(record, before, seconds)

    def note(self, text: str) -> None:
        for sink in self.sinks:
            sink.note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as stack:
            for sink in self.sinks:
                stack.callback(sink.close, error)


def line(record: EpochRecord, epochs: int) -> str:
    """An epoch's numbers in one line: ``epoch 3/50 | loss weights 1.2345 alphas 1.3456 | score 61.0%``."""
    kinds: dict[str, list[str]] = {}
    for name, value in record.scalars.items():
        kind, _, of = name.partition("/")
        kinds.setdefault(kind, []).append(f"{of} {number(kind, value)}".strip())
    parts = [f"{kind} {' '.join(values)}" for kind, values in kinds.items()]
    return " | ".join([f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}", *parts])


def number(kind: str, value: float) -> str:
    """A number as people read it."""
    if not math.isfinite(value):
        return str(value)
    if kind in ("accuracy", "score"):
        return f"{value:.1%}"
    return f"{value:.3g}" if kind == "lr" else f"{value:.4g}"
