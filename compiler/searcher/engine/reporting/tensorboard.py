"""``events``: the numbers of a run for TensorBoard.

Written here and not by torch's `SummaryWriter`, whose thread would print a traceback where the disk is full, after the
run has ended.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from compiler.util.files import naming

from .records import EpochRecord
from .sink import Plan, Sink

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

VERSION = "brain.Event:2"
"""The form of the file, as its first event says."""


class Events(Sink):
    """TensorBoard's event files: every number of every epoch, under its name."""

    def __init__(self, path: Path) -> None:
        self.folder = path
        self.file: BinaryIO | None = None

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Open a file; those of a run that is overwritten are deleted."""
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        if plan.fresh:
            for old in self.folder.glob("events.out.tfevents.*"):
                old.unlink()
        self.folder.mkdir(parents=True, exist_ok=True)
        # Readers take the files of a folder in the order of their names.
        self.file = (self.folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}").open("wb")
        self._write([Event(wall_time=time.time(), file_version=VERSION)])
        if not plan.fresh:  # What an earlier file says of the epochs that are repeated is passed over.
            again = SessionLog(status=SessionLog.START)
            self._write([Event(wall_time=time.time(), step=plan.epoch + 1, session_log=again)])

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Write the numbers of an epoch, what is observed of every decision, and the leading architecture."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        scalars = record.scalars | record.observed.scalars()
        values = [Summary.Value(tag=name, simple_value=value) for name, value in scalars.items()]
        values += [_text("decisions", _table(record.decisions))] if record.decisions else []
        self._write(Event(wall_time=time.time(), step=record.epoch, summary=Summary(value=[value])) for value in values)

    def close(self, error: BaseException | None) -> None:
        """Close the file."""
        if self.file:
            with suppress(OSError):  # All that it holds is flushed.
                self.file.close()

    def _write(self, events: Iterable[Event]) -> None:
        from tensorboard.summary.writer.record_writer import RecordWriter

        if self.file:
            with naming(Path(self.file.name)):
                records = RecordWriter(self.file)
                for event in events:
                    records.write(event.SerializeToString())
                self.file.flush()


def _table(decisions: Mapping[str, str]) -> str:
    """Decisions by path, as a table in Markdown."""
    rows = (f"| `{path}` | {items.replace('|', '&#124;')} |" for path, items in decisions.items())
    return "\n".join(["| decision | items |", "|---|---|", *rows])


def _text(name: str, text: str) -> Summary.Value:
    """A text, as TensorBoard's panel of texts reads it."""
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.compat.proto.tensor_pb2 import TensorProto
    from tensorboard.compat.proto.types_pb2 import DT_STRING

    of_text = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
    return Summary.Value(tag=name, metadata=of_text, tensor=TensorProto(dtype=DT_STRING, string_val=[text.encode()]))
