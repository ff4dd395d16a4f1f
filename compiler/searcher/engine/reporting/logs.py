"""The files that report a run: ``log.txt`` for people, ``history.jsonl`` for programs, ``events`` for TensorBoard."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from compiler.util.files import atomic_write

from .records import EpochRecord
from .sink import Plan, line

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Log:
    """A line for each epoch, and below it the decisions that changed."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self.epochs = 0
        self.file: TextIO | None = None

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        self.epochs = plan.epochs
        self.file = self.path.open("w" if plan.fresh else "a", encoding="utf-8")
        what = f"{plan.kind} of {self.title}" if self.title else plan.kind
        if plan.fresh:
            self.note(f"{what}: {plan.epochs} epochs of {plan.steps} steps")
        else:
            self.note(f"{what}: goes on after {plan.epoch} epochs and {plan.step} steps")

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        pass

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        shown = record.changes(before) if before else record.decisions
        width = max((len(path) for path in shown), default=0)
        lines = [f"{line(record, self.epochs)} | {seconds:.1f} s"]
        lines += [f"    {path:<{width}}  {decision}" for path, decision in shown.items()]
        self.note("\n".join(lines))

    def note(self, text: str) -> None:
        if self.file:
            self.file.write(text + "\n")
            self.file.flush()

    def close(self, error: BaseException | None) -> None:
        if error:
            self.note(str(error) or type(error).__name__)
        if self.file:
            self.file.close()


class History:
    """A JSON object a line, one for each epoch. After a resumption it holds each epoch once, like an unbroken run's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        kept = {} if plan.fresh else self._read()
        lines = [kept.get(record.epoch) or record.to_json() for record in history]
        atomic_write(self.path, "".join(map(_json, lines)))

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        pass

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_json({**record.to_json(), "seconds": round(seconds, 3)}))

    def note(self, text: str) -> None:
        pass

    def close(self, error: BaseException | None) -> None:
        pass

    def _read(self) -> dict[int, dict[str, Any]]:
        """What is there, by epoch; a line that a kill cut short is left out."""
        found: dict[int, dict[str, Any]] = {}
        for text in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                values = json.loads(text)
                found[int(values["epoch"])] = values
            except (ValueError, KeyError, TypeError):
                continue
        return found


class Events:
    """TensorBoard's event files: every number of every epoch, under its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: SummaryWriter | None = None

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if plan.fresh:
            for old in self.path.glob("events.out.tfevents.*"):
                old.unlink()
        self.writer = SummaryWriter(str(self.path), purge_step=None if plan.fresh else plan.epoch + 1)

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        pass

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        if self.writer:
            for name, value in record.scalars.items():
                self.writer.add_scalar(name, value, record.epoch)
            if before:
                self.writer.add_scalar("decisions changed", len(record.changes(before)), record.epoch)
            self.writer.flush()

    def note(self, text: str) -> None:
        pass

    def close(self, error: BaseException | None) -> None:
        if self.writer:
            self.writer.close()


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
