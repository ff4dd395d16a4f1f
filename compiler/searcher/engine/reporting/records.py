"""Measurements: running means within an epoch, and one record for each epoch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from compiler.searcher.engine.device.compute import Compute, sum_type


@dataclass(frozen=True)
class Observed:
    """What is seen of every decision, by its path. Checkpoints leave it out: they would grow by it every epoch."""

    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    """The weight of every item, and of every edge that has one, by label."""
    alphas: dict[str, dict[str, float]] = field(default_factory=dict)
    """The raw parameter of every item, and of every edge that has one, by label."""
    entropies: dict[str, float] = field(default_factory=dict)
    """The entropy of the items, as a share of the largest possible, from 0 to 1."""

    def scalars(self) -> dict[str, float]:
        """Every number by a name, with ``/`` between its parts."""
        of_items = {
            f"{kind}/{path}/{label}": value
            for kind, every in (("weights", self.weights), ("alphas", self.alphas))
            for path, items in every.items()
            for label, value in items.items()
        }
        return of_items | {f"entropies/{path}": value for path, value in self.entropies.items()}


OBSERVED = tuple(part.name for part in fields(Observed))
"""The entries of a line of ``history.jsonl`` that are of what is observed."""


@dataclass(frozen=True)
class EpochRecord:
    """One epoch: numbers by name, ``kind/part`` as ``entropy/Normal``, and the leading architecture's decisions."""

    epoch: int
    """Counted from 1."""
    scalars: dict[str, float]
    decisions: dict[str, str]
    observed: Observed = field(default_factory=Observed, compare=False)

    def of(self, kind: str) -> dict[str, float]:
        """The numbers of one kind: ``of("entropy")`` is the entropy by copy."""
        start = f"{kind}/"
        return {name.removeprefix(start): value for name, value in self.scalars.items() if name.startswith(start)}

    def changes(self, before: EpochRecord | None) -> dict[str, str]:
        """The decisions that differ from those of another epoch, as ``old -> new``."""
        if before is None:
            return {}
        old, new = before.decisions, self.decisions
        return {
            path: f"{old.get(path, 'nothing')} -> {new.get(path, 'nothing')}"
            for path in [*new, *(path for path in old if path not in new)]
            if old.get(path) != new.get(path)
        }

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; a number that is not finite becomes null, for JSON has no word for it."""
        scalars = {name: value if math.isfinite(value) else None for name, value in self.scalars.items()}
        return {"epoch": self.epoch, **scalars, "decisions": self.decisions}

    @classmethod
    def from_json(cls, values: object) -> EpochRecord:
        """The record that `to_json` wrote; null is not a number.

        Raises:
            ValueError: it wrote no such thing.
        """
        if isinstance(values, EpochRecord):
            return values
        try:
            entries = dict(values)  # type: ignore[call-overload]
            epoch, decisions = entries.pop("epoch"), dict(entries.pop("decisions"))
            for aside in ("seconds", *OBSERVED):  # `history.jsonl` says these too.
                entries.pop(aside, None)
        except (KeyError, TypeError, ValueError):
            raise ValueError("this is not a record of an epoch") from None
        numbers = all(value is None or type(value) in (int, float) for value in entries.values())
        if type(epoch) is not int or not numbers or not all(isinstance(text, str) for text in decisions.values()):
            raise ValueError("this is not a record of an epoch")
        scalars = {name: math.nan if value is None else float(value) for name, value in entries.items()}
        return cls(epoch, scalars, decisions)


class Metric(Protocol):
    """A function of sums over samples, as tasks have it."""

    @property
    def width(self) -> int:
        """How many sums there are."""

    def count(self, targets: Tensor) -> Tensor | int:
        """How many values the mean is over."""

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sums ``[width]`` of a batch."""

    def value(self, sums: Sequence[float], count: float) -> float:
        """The metric of all that was summed."""


class Meter:
    """Loss and metric of a task, summed over samples, on the device: adding a batch waits for nothing."""

    def __init__(self, device: torch.device, metric: Metric) -> None:
        kind = sum_type(device)
        self.metric = metric
        self.sums = torch.zeros(metric.width + 2, dtype=kind, device=device)
        """Summed loss, the sums of the metric, samples."""

    @torch.no_grad()
    def add(self, loss: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Count a batch with its mean loss."""
        count = self.metric.count(labels)
        self.sums[0] += loss.detach() * count
        self.sums[1:-1] += self.metric.sums(logits, labels)
        self.sums[-1] += count

    def reset(self) -> None:
        """Begin anew."""
        self.sums.zero_()

    def means(self, compute: Compute) -> tuple[float, float] | None:
        """Mean loss and metric over all processes; None before the first batch."""
        loss, *sums, count = compute.sum(self.sums).tolist()
        return (loss / count, self.metric.value(sums, count)) if count else None
