"""Recurrences over the positions of (n, c, positions)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .recomputed import recomputed


class ZeroState(nn.Module):
    """The state before the first position, for each: zeros (n, c, positions)."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.c = c

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], self.c, x.shape[2])


def first(given: Tensor, state: Tensor) -> Tensor:
    """What a cell gave, which a loop has made with its state already."""
    return given


def scan(cell: nn.Module, state: int, *inputs: Tensor) -> Tensor:
    """What a cell gives at each position of (n, c, positions); its input ``state`` is what it gave at the last one."""
    given, steps = inputs[state][:, :, :1], []
    for n in range(inputs[state].shape[2]):
        # The weights of choices, and matrices, are not sequences.
        now = [x[:, :, n : n + 1] if isinstance(x, Tensor) and x.dim() == 3 else x for x in inputs]
        given = cell(*now[:state], given, *now[state + 1 :])
        steps.append(given)
    return torch.cat(steps, dim=2)


def recomputed_scan(cell: nn.Module, state: int, *inputs: Any) -> Tensor:
    """`scan`, whose cell is computed again in the backward pass, position after position."""
    return scan(partial(recomputed, cell), state, *inputs)  # type: ignore[arg-type]
