"""The loss and the metric of each task, on outputs and targets of a batch.

A metric is a function of sums over samples, so that batches and processes add up. Targets are ``[n]`` classes of a
classification, ``[n, ...]`` classes of positions or next tokens, ``[n, ...]`` numbers of a regression, and
``[n, labels]`` of zeros and ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, assert_never

import torch
from torch import Tensor
from torch.nn import functional

from compiler.searcher.settings.tasks import (
    Classification,
    Multilabel,
    OwnTask,
    Regression,
    RegressionLoss,
    Segmentation,
    Task,
    Tokens,
)

from .user_task import OwnBehaviour

LARGEST = 700.0
"""The largest mean cross-entropy whose exponential is a finite number."""


class Behaviour(Protocol):
    """The loss and the metric of a task, as the engine uses them."""

    @property
    def width(self) -> int:
        """The number of sums that the metric is a function of."""

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean loss of a batch; labels are smoothed where targets are classes."""

    def count(self, targets: Tensor) -> Tensor | int:
        """The number of values that the mean is taken over."""

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sums ``[width]`` of a batch."""

    def value(self, sums: Sequence[float], count: float) -> float:
        """The metric from the sums over all batches; ``count`` is not 0."""


@dataclass(frozen=True)
class _Classes:
    """Sums the correct predictions."""

    width = 1

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return cross_entropy(outputs, targets, label_smoothing=smoothing)

    def count(self, targets: Tensor) -> Tensor | int:
        return targets.numel()

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == targets).sum().view(1)

    def value(self, sums: Sequence[float], count: float) -> float:
        return sums[0] / count


@dataclass(frozen=True)
class _Positions:
    """Sums intersections and unions for each of ``classes``; positions of the class ``ignore`` are left out."""

    ignore: int
    classes: int

    @property
    def width(self) -> int:
        return 2 * self.classes

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        kept = self.count(targets).clamp(min=1)
        total = cross_entropy(outputs, targets, ignore_index=self.ignore, label_smoothing=smoothing, reduction="sum")
        return total / kept  # The mean of a batch without any position would not be a number.

    def count(self, targets: Tensor) -> Tensor:
        return (targets != self.ignore).sum()

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        kept = targets != self.ignore
        found = outputs.argmax(dim=1)
        each = torch.arange(self.classes, device=outputs.device).view(-1, *(1,) * targets.dim())
        mine, theirs = (found == each) & kept, (targets == each) & kept
        return torch.cat([(mine & theirs).flatten(1).sum(1), (mine | theirs).flatten(1).sum(1)])

    def value(self, sums: Sequence[float], count: float) -> float:
        both, either = sums[: self.classes], sums[self.classes :]
        shares = [a / b for a, b in zip(both, either, strict=True) if b]
        return sum(shares) / len(shares)


@dataclass(frozen=True)
class _Numbers:
    """Sums errors, squared or absolute."""

    kind: RegressionLoss

    width = 1

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        match self.kind:
            case RegressionLoss.MSE:
                return functional.mse_loss(outputs, targets)
            case RegressionLoss.MAE:
                return functional.l1_loss(outputs, targets)
            case RegressionLoss.HUBER:
                return functional.huber_loss(outputs, targets)

    def count(self, targets: Tensor) -> Tensor | int:
        return targets.numel()

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        apart = precise(outputs) - targets
        return (apart.square() if self.kind is RegressionLoss.MSE else apart.abs()).sum().view(1)

    def value(self, sums: Sequence[float], count: float) -> float:
        return sums[0] / count


@dataclass(frozen=True)
class _Labels:
    """Sums true positives, and false positives and false negatives together."""

    width = 2

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        return functional.binary_cross_entropy_with_logits(outputs, targets)

    def count(self, targets: Tensor) -> Tensor | int:
        return targets.numel()

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        found, there = outputs > 0, targets > 0
        return torch.stack([(found & there).sum(), (found ^ there).sum()])

    def value(self, sums: Sequence[float], count: float) -> float:
        right, wrong = sums
        return 2 * right / (2 * right + wrong) if right + wrong else 1.0


@dataclass(frozen=True)
class _NextTokens(_Classes):
    """Sums the cross-entropy of each token."""

    def sums(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return cross_entropy(precise(outputs), targets, reduction="sum").view(1)

    def value(self, sums: Sequence[float], count: float) -> float:
        return math.exp(min(sums[0] / count, LARGEST))


def behaviour_of(task: Task, classes: int) -> Behaviour:
    """The loss and the metric of a task, for a network of so many classes."""
    match task:
        case Classification():
            return _Classes()
        case Segmentation():
            return _Positions(task.ignore, classes)
        case Regression():
            return _Numbers(task.loss)
        case Multilabel():
            return _Labels()
        case Tokens():
            return _NextTokens()
        case OwnTask():
            return OwnBehaviour(task.made, task.path, classes)
    assert_never(task)


def cross_entropy(outputs: Tensor, targets: Tensor, **how: Any) -> Tensor:
    """That of torch, whose sum over positions is not deterministic on a GPU unless they are those of a batch."""
    if outputs.is_cuda and outputs.dim() > 2:
        outputs, targets = outputs.movedim(1, -1).flatten(0, -2), targets.flatten()
    return functional.cross_entropy(outputs, targets, **how)


def precise(outputs: Tensor) -> Tensor:
    """Outputs in the precision that sums need: half precision becomes float32."""
    return outputs if outputs.dtype is torch.float64 else outputs.float()
