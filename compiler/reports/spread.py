"""Where the differences between trainings come from: the architectures, or the randomness of each training."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import mean

from pydantic import BaseModel, ConfigDict


class Spread(BaseModel):
    """The deviation between architectures, and that between trainings of one, in the unit of what was measured."""

    model_config = ConfigDict(frozen=True)

    architectures: float
    trainings: float

    @property
    def share(self) -> float:
        """The share of the variance between two single trainings that is the architecture."""
        total = self.architectures**2 + self.trainings**2
        return self.architectures**2 / total if total else 0.0

    @classmethod
    def of(cls, values: Sequence[Sequence[float]]) -> Spread | None:
        """From a row of values for each architecture, with the same seeds; None of a single one or a single seed.

        By analysis of variance in two ways without interaction: what all architectures have in common in a seed is
        no deviation. Where rows differ no more than trainings of one alone would have it, architectures deviate by 0.
        """
        rows, seeds = len(values), len(values[0]) if values else 0
        if rows < 2 or seeds < 2:
            return None
        columns = [mean(column) for column in zip(*values, strict=True)]
        middle = mean(columns)
        means = [mean(row) for row in values]
        left = [
            (value - of_row - of_seed + middle) ** 2
            for row, of_row in zip(values, means, strict=True)
            for value, of_seed in zip(row, columns, strict=True)
        ]
        residual = sum(left) / ((rows - 1) * (seeds - 1))
        between = sum((of_row - middle) ** 2 for of_row in means) / (rows - 1)
        return cls(architectures=sqrt(max(0.0, between - residual / seeds)), trainings=sqrt(residual))
