"""Teachers of knowledge distillation: their outputs are soft labels, used beside the true labels.

The teacher is one architecture of the supernet, with its current weights (inplace distillation), or the network that an
earlier phase left.

Cai et al., "Once-for-All: Train One Network and Specialize it for Efficient Deployment" (ICLR 2020); Yu et al.,
"BigNAS: Scaling Up Neural Architecture Search with Big Single-Stage Models" (ECCV 2020), inplace distillation.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler.searcher.settings.axes import Teacher as Word

from .device.compute import Compute
from .protocol import Searchable

OfPhase: TypeAlias = "Searchable | None"
"""The network that an earlier phase left, where one teaches."""


class Teacher(Protocol):
    """The network that teaches."""

    def __call__(self, images: Tensor) -> Tensor:
        """The teacher's logits (n, classes) of images (n, c, h, w)."""
        ...


class TeacherInPlace:
    """One architecture of the network that learns, with its current weights; running statistics stay as they are."""

    def __init__(self, searchable: Searchable, kept: AbstractContextManager[None], compute: Compute) -> None:
        self.searchable, self.kept, self.compute = searchable, kept, compute
        self.run = searchable.teacher()

    def __call__(self, images: Tensor) -> Tensor:
        """Its logits (n, classes)."""
        with torch.no_grad(), self.kept, self.searchable.running(self.run), self.compute.autocast():
            logits: Tensor = self.searchable.module(images)
        return logits


class FrozenTeacher:
    """Another network, whose weights stay as they are.

    A mixture runs in eval mode. An architecture of a supernet shares its norms' running statistics with all others, so
    its norms take the statistics of the batch instead.
    """

    def __init__(self, searchable: Searchable, compute: Compute) -> None:
        self.searchable, self.compute = searchable, compute
        self.module = searchable.module.to(compute.device).requires_grad_(False)
        self.run = searchable.teacher()
        self.module.train(self.run is not None)

    def __call__(self, images: Tensor) -> Tensor:
        """Its logits (n, classes)."""
        with torch.no_grad(), self.searchable.running(self.run), self.compute.autocast():
            logits: Tensor = self.module(images)
        return logits


def teacher_of(
    word: Word, searchable: Searchable, other: OfPhase, kept: AbstractContextManager[None], compute: Compute
) -> Teacher | None:
    """The teacher of a search's setting `teacher`; None without one.

    Args:
        word: the setting.
        searchable: the network that learns.
        other: the network that a phase left, where that network teaches.
        kept: a context in which passes of the learning network leave its running statistics as they are.
        compute: the device.
    """
    if not word.ratio:
        return None
    return TeacherInPlace(searchable, kept, compute) if other is None else FrozenTeacher(other, compute)


def soft_labels(logits: Tensor) -> Tensor:
    """The probabilities (n, classes) of a teacher's logits (n, classes), without a gradient."""
    return logits.detach().softmax(1)


def distillation_loss(logits: Tensor, taught: Tensor) -> Tensor:
    """The mean cross entropy of logits (n, classes) with soft labels; its gradient is 0 where both agree."""
    return cross_entropy(logits, taught)
