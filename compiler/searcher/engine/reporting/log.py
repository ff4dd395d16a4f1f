"""``log.txt``: a run to read afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TextIO

from compiler.util.files import naming

from .records import EpochRecord
from .sink import Plan, Sink, epoch_line


class Log(Sink):
    """A line for each epoch, and below it the decisions that changed."""

    def __init__(self, path: Path, title: str) -> None:
        self.path, self.title = path, title
        self.epochs = 0
        self.file: TextIO | None = None

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Open the file, anew for a new run, and write what is going to happen."""
        self.epochs = plan.epochs
        self.file = self.path.open("w" if plan.fresh else "a", encoding="utf-8", errors="backslashreplace")
        what = f"{plan.kind} of {self.title}" if self.title else plan.kind
        if plan.fresh:
            self.note(f"{what}: {plan.epochs} epochs of {plan.steps} steps")
        else:
            self.note(f"{what}: goes on after {plan.epoch} epochs and {plan.step} steps")

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Write the numbers of an epoch, and the decisions that changed."""
        shown = record.changes(before) if before else record.decisions
        width = max((len(path) for path in shown), default=0)
        lines = [f"{epoch_line(record, self.epochs)} | {seconds:.1f} s"]
        lines += [f"    {path:<{width}}  {decision}" for path, decision in shown.items()]
        self.note("\n".join(lines))

    def note(self, text: str) -> None:
        """Write a line, at once."""
        if self.file:
            with naming(self.path):
                self.file.write(text + "\n")
                self.file.flush()

    def close(self, error: BaseException | None) -> None:
        """Write why the run ends, where it ends early, and close the file; no failure hides why it ends."""
        with suppress(OSError) if error else naming(self.path), ExitStack() as stack:
            if self.file:
                stack.callback(self.file.close)
            if error:
                self.note(str(error) or type(error).__name__)
