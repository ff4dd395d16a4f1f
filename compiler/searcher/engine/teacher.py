"""Teachers: their answers are labels beside the true ones.

One architecture teaches the others in place, at the weights of now; or the network that an earlier phase left does.

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
    """What teaches."""

    def __call__(self, images: Tensor) -> Tensor:
        """Its logits (n, classes)."""
        ...


class TeacherInPlace:
    """One architecture of the network that learns, at its weights of now; statistics stay as they are."""

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

    A mixture answers as it is judged. An architecture, whose norms have the statistics of all that share them, answers
    by those of the batch.
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
    """What teaches as a search's setting says; None where nothing does.

    Args:
        word: the setting.
        searchable: the network that learns.
        other: what a phase left, where that teaches.
        kept: within it, passes of the network that learns leave its statistics.
        compute: where it runs.
    """
    if not word.ratio:
        return None
    return TeacherInPlace(searchable, kept, compute) if other is None else FrozenTeacher(other, compute)


def answers(logits: Tensor) -> Tensor:
    """What a teacher says of images, as probabilities (n, classes), of its logits."""
    return logits.detach().softmax(1)


def lesson(logits: Tensor, taught: Tensor) -> Tensor:
    """The mean cross entropy of logits (n, classes) with a teacher's answers: of its own its gradient is 0."""
    return cross_entropy(logits, taught)
