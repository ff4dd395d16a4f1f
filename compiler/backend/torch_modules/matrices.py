"""Dimensions in another order, and products of matrices. Batches come first: (n, c, ...)."""

from __future__ import annotations

from torch import Tensor, nn


class Unflatten(nn.Module):
    """Tokens as positions of an image: (n, c, h w) to (n, c, h, w)."""

    def __init__(self, h: int, w: int) -> None:
        super().__init__()
        self.h, self.w = h, w

    def forward(self, x: Tensor) -> Tensor:
        image: Tensor = x.unflatten(2, (self.h, self.w))
        return image


class Permute(nn.Module):
    """The dimensions in another order, the batch's included."""

    def __init__(self, order: tuple[int, ...]) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.order)


class MatMul(nn.Module):
    """Products of the matrices in the last two dimensions, times ``scale``: (n, ..., i, k) and (n, ..., k, j)."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        product = x @ y
        return product if self.scale == 1 else product * self.scale
