"""Draws that follow from shapes and distributions alone, so that two programs draw the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor


def spread(count: int) -> Tensor:
    """Numbers between 0 and 1 that lie as far apart as those of the golden ratio, (count)."""
    return (0.5 + torch.arange(count, dtype=torch.get_default_dtype()) * 0.6180339887498949) % 1


@contextmanager
def fixed() -> Iterator[None]:
    """A context in which each row of a draw has the same numbers: uniform, exponential; a Dirichlet follows its row."""

    def rand(*shape: Any, **named: Any) -> Tensor:
        size = tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
        return spread(size[-1]).expand(size).clone()

    def uniform(self: Tensor, low: float = 0, high: float = 1) -> Tensor:
        return self.copy_(low + (high - low) * spread(self.shape[-1]))

    def exponential(self: Tensor, rate: float = 1) -> Tensor:
        return self.copy_(-spread(self.shape[-1]).log() / rate)

    def dirichlet(concentration: Tensor, generator: object = None) -> Tensor:
        drawn = concentration * (0.5 + spread(concentration.shape[-1]))
        return drawn / drawn.sum(-1, keepdim=True)

    with (
        patch.object(torch, "rand", rand),
        patch.object(torch, "_sample_dirichlet", dirichlet),
        patch.object(Tensor, "uniform_", uniform),
        patch.object(Tensor, "exponential_", exponential),
    ):
        yield
