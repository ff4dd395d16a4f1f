"""Regularisation while a network is trained, by rates that follow schedules."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Scheduled(nn.Module):
    """A module with a rate that a schedule sets: no state, and 0 as it is built.

    ``recorded`` is where the rate lies on the device while a pass is recorded, whose replays follow it there.
    """

    recorded: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0
        self.recorded = None

    @property
    def now(self) -> float | Tensor:
        """The rate as operations read it."""
        return self.rate if self.recorded is None else self.recorded

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class Dropout(Scheduled):
    """Drop each number with probability ``rate`` and scale the others, only in training.

    The mask does not depend on the order in memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.now
        return x / keep * torch.empty(x.shape, dtype=x.dtype, device=x.device).bernoulli_(keep)


class Fade(Scheduled):
    """The input times ``rate``."""

    def forward(self, x: Tensor) -> Tensor:
        return self.now * x


class DropPath(Scheduled):
    """Drop the whole tensor of an image with probability ``rate`` and scale the others, only in training.

    Larsson et al., FractalNet (ICLR 2017), per sample as the DARTS family retrains.
    """

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.now
        mask = torch.empty((x.shape[0],) + (1,) * (x.dim() - 1), dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x / keep * mask
