"""All reports of a run. None of them is read back, and none can change what a run computes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.run_files import EVENTS, HISTORY, LOG

from .history import History
from .log import Log
from .logged import Logged
from .records import EpochRecord
from .sink import Plan, Sink, WhileRead
from .tensorboard import Events
from .terminal import display


class Report:
    """All sinks of a run; only the main process has any. Open while the run goes on."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self.sinks = sinks
        self._since = time.monotonic()

    @classmethod
    def of(cls, run: RunOptions, compute: Compute) -> Report:
        """The sinks that a run asks for: log, history, events, loggers, and a display unless it is to be quiet."""
        if not compute.main:
            return cls([])
        files: list[Sink] = [Log(run.out / LOG, run.title), History(run.out / HISTORY)]
        shown: list[Sink] = [] if run.quiet else [WhileRead(display(run.title))]
        logged: list[Sink] = [Logged(run.listeners, run.phase)] if run.listeners.loggers else []
        return cls([*files, Events(run.out / EVENTS), *logged, *shown])

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """The run starts, or goes on."""
        self._since = time.monotonic()
        for sink in self.sinks:
            sink.start(plan, history)

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        """A step is done."""
        for sink in self.sinks:
            sink.step(epoch, step, means)

    def epoch(self, record: EpochRecord, before: EpochRecord | None) -> None:
        """An epoch is done; its time is that since the last one, or since the start."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        for sink in self.sinks:
            sink.epoch(record, before, seconds)

    def note(self, text: str) -> None:
        """A sentence about the run as a whole."""
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
