"""Functions of tensors and mixing weights, called by the code of supernets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import mul

import torch
from torch import Tensor, nn


def gate(x: Tensor, g: Tensor) -> Tensor:
    """``x * g``; a g of (n, c) gates every position of its channel."""
    return x * g.view(*g.shape, *(1,) * (x.dim() - g.dim()))


class Scaled(nn.Module):
    """Its input times a number."""

    def __init__(self, by: float) -> None:
        super().__init__()
        self.by = by

    def forward(self, x: Tensor) -> Tensor:
        return x * self.by


def weighted_sum(weights: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """The sum of ``weights[i] * tensors[i]``, one candidate after the other."""
    total = weights[0] * tensors[0]
    for index in range(1, len(tensors)):
        total = total + weights[index] * tensors[index]
    return total


def joint(weights: Sequence[Tensor]) -> Tensor:
    """The products of the weights of several decisions, one entry per joint assignment, in lexicographic order."""
    product = weights[0]
    for weight in weights[1:]:
        product = (product.unsqueeze(-1) * weight).flatten()
    return product


def row_sums(weights: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
    """The total weight of each row of assignments."""
    return torch.stack([entries(weights, row).sum() for row in rows])


def entries(vector: Tensor, places: Sequence[int]) -> Tensor:
    """The numbers of a vector at some places, (places).

    ``vector[list(places)]`` would copy the places to a GPU: every step would wait, and no recording may.
    """
    every = vector.unbind()
    return torch.stack([every[place] for place in places]) if places else vector[:0]


def with_entries(vector: Tensor, places: Sequence[int], values: Tensor) -> Tensor:
    """A vector of other numbers, (places), at some places; no GPU waits for these."""
    every = list(vector.unbind())
    for place, value in zip(places, values.unbind(), strict=True):
        every[place] = value
    return torch.stack(every)


def product(factors: Sequence[Tensor]) -> Tensor:
    """The product of tensors; the gradient of `torch.prod` waits for a GPU to count its zeros."""
    return reduce(mul, factors)
