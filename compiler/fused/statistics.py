"""Running statistics of batch norms, moved for many norms at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..graph import Columns


class ColumnsOfNorm:
    """Some channels of a batch norm, as a batch norm of its own. The first of them count the batches."""

    def __init__(self, norm: nn.BatchNorm2d, columns: Columns) -> None:
        self.columns, self.training, self.eps, self.momentum = columns, norm.training, norm.eps, norm.momentum
        self.weight, self.bias = self._of(norm.weight), self._of(norm.bias)
        self.running_mean, self.running_var = self._of(norm.running_mean), self._of(norm.running_var)
        self.num_batches_tracked = norm.num_batches_tracked

    def _of(self, tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[self.columns.first : self.columns.first + self.columns.count]

    @property
    def counts(self) -> bool:
        """Whether a batch is counted with these channels."""
        return self.columns.first == 0

    def __call__(self, x: Tensor) -> Tensor:
        if self.training and self.num_batches_tracked is not None and self.counts:
            self.num_batches_tracked.add_(1)
        momentum = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked or 1)
        return functional.batch_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias, uses_batch(self), momentum, self.eps
        )


Norm: TypeAlias = "nn.BatchNorm2d | ColumnsOfNorm"


def uses_batch(module: nn.Module | ColumnsOfNorm) -> bool:
    """Whether a module is a norm that takes the statistics of the batch."""
    return isinstance(module, nn.BatchNorm2d | ColumnsOfNorm) and (module.training or module.running_mean is None)


@dataclass(frozen=True)
class _Found:
    norm: Norm
    mean: Tensor
    variance: Tensor


class Statistics:
    """Collects batch statistics, then moves the running ones as `torch.nn.BatchNorm2d` does."""

    def __init__(self) -> None:
        self._found: list[_Found] = []

    def add(self, norm: nn.Module | ColumnsOfNorm, mean: Tensor, variance: Tensor, count: int) -> None:
        """The mean and the unbiased variance of ``count`` values of each channel.

        Raises:
            ValueError: where there is one value only.
        """
        if count < 2:
            raise ValueError("a batch norm needs more than one value per channel to train: use a larger batch")
        assert isinstance(norm, nn.BatchNorm2d | ColumnsOfNorm)
        if norm.training and norm.running_mean is not None:
            self._found.append(_Found(norm, mean, variance))

    @torch.no_grad()
    def apply(self) -> None:
        """Move the running statistics of all norms."""
        if not self._found:
            return
        counting = [item.norm for item in self._found if isinstance(item.norm, nn.BatchNorm2d) or item.norm.counts]
        if counting:
            batches = _there(norm.num_batches_tracked for norm in counting)
            torch._foreach_add_(batches, [torch.ones_like(batches[0])] * len(batches))
        for momentum in {item.norm.momentum for item in self._found}:
            chosen = [item for item in self._found if item.norm.momentum == momentum]
            norms = [item.norm for item in chosen]
            for running, values in (
                (_there(norm.running_mean for norm in norms), [item.mean for item in chosen]),
                (_there(norm.running_var for norm in norms), [item.variance for item in chosen]),
            ):
                if momentum is not None:
                    torch._foreach_lerp_(running, values, momentum)
                else:
                    for at, value, norm in zip(running, values, norms, strict=True):
                        at.lerp_(value, 1.0 / float(norm.num_batches_tracked or 1))


def _there(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    """Statistics of norms that track them."""
    return [tensor for tensor in tensors if tensor is not None]
