"""Learned matrices as tensors (n, rows, columns, 1, 1, 1), and what reads them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class WeightMatrix(nn.Module):
    """A learned matrix, the same for every input: a layer of unit variance."""

    def __init__(self, c: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c, width) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        return self.weight[..., None, None, None].expand(x.shape[0], -1, -1, -1, -1, -1)


class AddBias(nn.Module):
    """Its input (n, c, ...), and a learned number for each channel."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(c))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.view(-1, *(1,) * (x.dim() - 2))


def projected(x: Tensor, matrix: Tensor) -> Tensor:
    """The channels of (n, c, ...) multiplied by a matrix."""
    return functional.linear(x.movedim(1, -1), matrix[0].flatten(1)).movedim(-1, 1)


def looked_up(x: Tensor, matrix: Tensor) -> Tensor:
    """The row of a matrix for each of (n, tokens): (n, c, tokens)."""
    return functional.embedding(x, matrix[0].flatten(1)).mT
