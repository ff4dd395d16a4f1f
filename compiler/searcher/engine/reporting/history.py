"""``history.jsonl``: the numbers of a run for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, FiniteFloat, PositiveInt, ValidationError

from compiler.util.files import atomic_write, naming

from .records import EpochRecord
from .sink import Plan, Sink


class History(Sink):
    """A JSON object a line, one for each epoch. After a resumption it holds each epoch once, like an unbroken run's."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Write the epochs that are done, from their records; seconds and what was observed are read from the file."""
        aside = {} if plan.fresh else self._read()
        lines = [record.to_json() | aside.get(record.epoch, {}) for record in history]
        atomic_write(self.path, "".join(map(_json, lines)))

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Append an epoch, with how long it took."""
        with naming(self.path), self.path.open("a", encoding="utf-8") as file:
            observed = {name: found for name, found in asdict(record.observed).items() if found}
            file.write(_json({**record.to_json(), **observed, "seconds": round(seconds, 3)}))

    def _read(self) -> dict[int, dict[str, Any]]:
        """The other entries of each epoch in the file; a line that a kill cut short, or that is damaged, has none."""
        found: dict[int, dict[str, Any]] = {}
        for text in self.path.read_bytes().splitlines() if self.path.exists() else []:
            try:
                line = _Line.model_validate_json(text)
            except ValidationError:
                continue
            found[line.epoch] = line.model_dump(exclude={"epoch"}, exclude_defaults=True)
        return found


class _Line(BaseModel):
    """The part of a line that is read back."""

    epoch: PositiveInt
    weights: dict[str, dict[str, FiniteFloat]] = {}
    alphas: dict[str, dict[str, FiniteFloat]] = {}
    entropies: dict[str, FiniteFloat] = {}
    seconds: Annotated[FiniteFloat, Field(ge=0)]


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n"
