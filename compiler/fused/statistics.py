"""Running statistics of batch norms, moved for many norms at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def uses_batch(module: nn.Module) -> bool:
    """Whether a module is a norm that takes the statistics of the batch."""
    return isinstance(module, nn.BatchNorm2d) and (module.training or module.running_mean is None)


@dataclass(frozen=True)
class _Found:
    norm: nn.BatchNorm2d
    mean: Tensor
    variance: Tensor
    count: int


class Statistics:
    """Collects batch statistics, then moves the running ones as `torch.nn.BatchNorm2d` does."""

    def __init__(self) -> None:
        self._found: list[_Found] = []

    def add(self, norm: nn.Module, mean: Tensor, variance: Tensor, count: int) -> None:
        """The mean and the biased variance of ``count`` values of each channel.

        Raises:
            ValueError: where there is one value only.
        """
        if count < 2:
            raise ValueError("a batch norm needs more than one value per channel to train: use a larger batch")
        assert isinstance(norm, nn.BatchNorm2d)
        if norm.training and norm.running_mean is not None:
            self._found.append(_Found(norm, mean, variance, count))

    @torch.no_grad()
    def apply(self) -> None:
        """Move the running statistics of all norms."""
        if not self._found:
            return
        torch._foreach_add_(_there(item.norm.num_batches_tracked for item in self._found), 1)
        unbiased = torch._foreach_mul(
            [item.variance for item in self._found], [item.count / (item.count - 1) for item in self._found]
        )
        for momentum in {item.norm.momentum for item in self._found}:
            chosen = [number for number, item in enumerate(self._found) if item.norm.momentum == momentum]
            norms = [self._found[number].norm for number in chosen]
            for running, values in (
                (_there(norm.running_mean for norm in norms), [self._found[number].mean for number in chosen]),
                (_there(norm.running_var for norm in norms), [unbiased[number] for number in chosen]),
            ):
                if momentum is not None:
                    torch._foreach_lerp_(running, values, momentum)
                else:
                    for at, value, norm in zip(running, values, norms, strict=True):
                        at.lerp_(value, 1.0 / float(norm.num_batches_tracked or 1))


def _there(tensors: Iterable[Tensor | None]) -> list[Tensor]:
    """Statistics of norms that track them."""
    return [tensor for tensor in tensors if tensor is not None]
