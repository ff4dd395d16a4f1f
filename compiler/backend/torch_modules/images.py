"""Images, series and volumes made, cut and resized. Batches come first: (n, c, h, w)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Zero(nn.Module):
    """Zeros of ``c`` channels at every ``stride``-th position of (n, c', ...)."""

    def __init__(self, c: int, stride: int) -> None:
        super().__init__()
        self.c, self.stride = c, stride

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], self.c, *((size - 1) // self.stride + 1 for size in x.shape[2:]))


class Noise(nn.Module):
    """Standard normal noise of a shape, for every image of the batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn(x.shape[0], *self.shape, dtype=x.dtype, device=x.device)


class Crop(nn.Module):
    """Without the first ``top`` rows and ``left`` columns."""

    def __init__(self, top: int, left: int) -> None:
        super().__init__()
        self.top, self.left = top, left

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.top :, self.left :]


class Resize(nn.Module):
    """Bilinear interpolation to h x w."""

    def __init__(self, h: int, w: int) -> None:
        super().__init__()
        self.h, self.w = h, w

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, (self.h, self.w), mode="bilinear", align_corners=False)


class GlobalPool(nn.Module):
    """The mean over all positions: (n, c, ...) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


class GlobalMaxPool(nn.Module):
    """The largest of all positions: (n, c, ...) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).amax(2)


class Upsample(nn.Module):
    """``scale`` times as many positions: repeated, or interpolated linearly along each dimension."""

    def __init__(self, scale: int, smooth: bool) -> None:
        super().__init__()
        self.scale, self.smooth = scale, smooth

    def forward(self, x: Tensor) -> Tensor:
        mode = {3: "linear", 4: "bilinear", 5: "trilinear"}[x.dim()] if self.smooth else "nearest"
        return F.interpolate(x, scale_factor=self.scale, mode=mode)


class ChannelsLast(nn.Module):
    """The same values with channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)
