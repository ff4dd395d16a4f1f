"""Running statistics of batch norms, moved for many norms at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from compiler.ir.sums import Columns


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


NORMS = (nn.BatchNorm2d, ColumnsOfNorm)


def uses_batch(module: nn.Module | ColumnsOfNorm) -> bool:
    """Whether a module is a norm that takes the statistics of the batch."""
    return isinstance(module, NORMS) and (module.training or module.running_mean is None)


@dataclass(frozen=True)
class _Found:
    """Running statistics, how fast they follow, what they follow, and the batches to be counted, if it is here."""

    running_mean: Tensor
    running_var: Tensor
    momentum: float | None
    mean: Tensor
    variance: Tensor
    batches: Tensor | None
    counts: bool


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
        assert isinstance(norm, NORMS)
        running_mean = norm.running_mean
        if not norm.training or running_mean is None:
            return
        running_var = norm.running_var
        assert running_var is not None
        counts = isinstance(norm, nn.BatchNorm2d) or norm.counts
        self._found.append(
            _Found(running_mean, running_var, norm.momentum, mean, variance, norm.num_batches_tracked, counts)
        )

    @torch.no_grad()
    def apply(self) -> None:
        """Move the running statistics of all norms."""
        counted = [item.batches for item in self._found if item.counts and item.batches is not None]
        if counted:
            torch._foreach_add_(counted, [torch.ones_like(counted[0])] * len(counted))
        for momentum in {item.momentum for item in self._found}:
            chosen = [item for item in self._found if item.momentum == momentum]
            if momentum is not None:
                torch._foreach_lerp_(
                    [item.running_mean for item in chosen] + [item.running_var for item in chosen],
                    [item.mean for item in chosen] + [item.variance for item in chosen],
                    momentum,
                )
                continue
            for item in chosen:
                share = 1.0 / float(item.batches or 1)
                item.running_mean.lerp_(item.mean, share)
                item.running_var.lerp_(item.variance, share)
