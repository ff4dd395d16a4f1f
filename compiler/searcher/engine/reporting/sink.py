"""The events that every report of a run may handle, and the form of its numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .records import EpochRecord


@dataclass(frozen=True)
class Plan:
    """The size of a run, and how much of it is done: ``step`` steps of epoch ``epoch``, both from 0."""

    kind: str
    epochs: int
    steps: int
    epoch: int = 0
    step: int = 0

    @property
    def fresh(self) -> bool:
        """Whether nothing is done yet."""
        return self.epoch == self.step == 0


class Sink:
    """One way to report; a subclass overrides the events that it reports."""

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """The run starts, or goes on after the epochs of ``history``."""

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        """A step is done; ``means`` are the epoch's so far, where they were looked at."""

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """An epoch is done; its checkpoint comes next, so that a run killed between the two reports it again."""

    def note(self, text: str) -> None:
        """A sentence about the run as a whole."""

    def close(self, error: BaseException | None) -> None:
        """The run ends, well or by an error."""


class WhileRead(Sink):
    """A display that ends where nobody reads it any more, as after ``| head -1``; the run goes on without it."""

    def __init__(self, display: Sink) -> None:
        self.display = display

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Pass it on."""
        self._show(lambda: self.display.start(plan, history))

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        """Pass it on."""
        self._show(lambda: self.display.step(epoch, step, means))

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Pass it on."""
        self._show(lambda: self.display.epoch(record, before, seconds))

    def note(self, text: str) -> None:
        """Pass it on."""
        self._show(lambda: self.display.note(text))

    def close(self, error: BaseException | None) -> None:
        """Pass it on."""
        self._show(lambda: self.display.close(error))

    def _show(self, event: Callable[[], None]) -> None:
        try:
            event()
        except OSError:
            self.display = Sink()


SHARES = ("accuracy", "iou", "f1", "score")
"""Kinds of numbers from 0 to 1."""


def epoch_line(record: EpochRecord, epochs: int) -> str:
    """An epoch's numbers in one line: ``epoch 3/50 | loss weights 1.2345 alphas 1.3456 | score 61.0%``."""
    kinds: dict[str, list[str]] = {}
    named = any(name.endswith("/score") for name in record.scalars)
    for name, value in record.scalars.items():
        kind, _, of = name.partition("/")
        if name == "score" and named:  # That of a metric, which stands beside it by its own name and sign.
            continue
        kinds.setdefault(kind, []).append(f"{of} {format_number(kind, value)}".strip())
    parts = [f"{kind} {' '.join(values)}" for kind, values in kinds.items()]
    return " | ".join([f"epoch {record.epoch:>{len(str(epochs))}}/{epochs}", *parts])


def format_number(kind: str, value: float) -> str:
    """A number with the digits that its kind deserves: shares in per cent, rates short."""
    if not math.isfinite(value):
        return str(value)
    if kind in SHARES:
        return f"{value:.1%}"
    return f"{value:.3g}" if kind == "lr" else f"{value:.4g}"
