"""``events``: the numbers of a run for TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .records import EpochRecord
from .sink import Plan, Sink

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class Events(Sink):
    """TensorBoard's event files: every number of every epoch, under its name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writer: SummaryWriter | None = None

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Open the event files; those of a run that is overwritten are deleted."""
        from torch.utils.tensorboard import SummaryWriter

        if plan.fresh:
            for old in self.path.glob("events.out.tfevents.*"):
                old.unlink()
        self.writer = SummaryWriter(str(self.path), purge_step=None if plan.fresh else plan.epoch + 1)

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Write the numbers of an epoch, and the weight of every item."""
        if self.writer:
            for name, value in record.scalars.items():
                self.writer.add_scalar(name, value, record.epoch)
            for path, weights in record.weights.items():
                for label, value in weights.items():
                    self.writer.add_scalar(f"weights/{path}/{label}", value, record.epoch)
            self.writer.flush()

    def close(self, error: BaseException | None) -> None:
        """Close the event files."""
        if self.writer:
            self.writer.close()
