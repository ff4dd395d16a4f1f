"""``history.jsonl``: the numbers of a run for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from compiler.util.files import atomic_write

from .records import EpochRecord
from .sink import Plan, Sink


class History(Sink):
    """A JSON object a line, one for each epoch. After a resumption it holds each epoch once, like an unbroken run's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Write the epochs that are done: as they stood there, or else from their records."""
        kept = {} if plan.fresh else self._read()
        lines = [kept.get(record.epoch) or record.to_json() for record in history]
        atomic_write(self.path, "".join(map(_json, lines)))

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Append an epoch, with how long it took."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(_json({**record.to_json(), "seconds": round(seconds, 3)}))

    def _read(self) -> dict[int, dict[str, Any]]:
        """The lines of the file, by epoch; one that a kill cut short is left out."""
        found: dict[int, dict[str, Any]] = {}
        for text in self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []:
            try:
                values = json.loads(text)
                found[int(values["epoch"])] = values
            except (ValueError, KeyError, TypeError):
                continue
        return found


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
