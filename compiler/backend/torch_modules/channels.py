"""Channels taken out and put in another order. Batches come first: (n, c, ...)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from .memory_order import lies_channels_last


class Cut(nn.Module):
    """``c`` channels, from ``start`` on."""

    def __init__(self, c: int, start: int = 0) -> None:
        super().__init__()
        self.c, self.start = c, start

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.start + self.c]


class Shuffle(nn.Module):
    """The channels of ``groups`` groups in turn: the first of each, the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        if not lies_channels_last(x):
            return torch.unflatten(x, 1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        # In their own order: flattened as above they would be copied to channels first, and back by whoever reads them.
        pixels = torch.unflatten(x.permute(0, 2, 3, 1), 3, (self.groups, -1))
        return pixels.transpose(3, 4).flatten(3).permute(0, 3, 1, 2)


def pieces(x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    """Tensors of so many channels, which together are those of x.

    Images that lie channels last are copied, so that who reads some channels need not skip the others.
    """
    if not lies_channels_last(x):
        return torch.split(x, list(sizes), 1)
    parts = torch.split(x.permute(0, 2, 3, 1), list(sizes), 3)
    return tuple(part.contiguous().permute(0, 3, 1, 2) for part in parts)
