"""A rule about settings of a search that do not go together, and what rules are about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from .axes import (
    Align,
    Beside,
    Channels,
    Dropout,
    Edges,
    Freeze,
    Levels,
    Order,
    Perturbation,
    Precision,
    Preferences,
    Teacher,
)
from .confirmation import Confirmation
from .datasets import DataSpec
from .derivation import Derivation
from .exploring import Explorer
from .judges import Judge, Unique
from .narrowing import Narrowing
from .optimizers import Alphas, Weights
from .reader import ConflictError
from .relaxation import Relaxation
from .rungs import Rungs
from .schedules import Schedule
from .stopping import Stopping
from .tasks import Task


class Combined(Protocol):
    """The settings of a search that rules are about (`sections.SearchSettings`)."""

    task: Task
    data: DataSpec
    order: Order
    relax: Relaxation
    weights: Weights
    alphas: Alphas
    edges: Edges
    channels: Channels
    beside: Beside
    dropout: Dropout
    drop_path: Schedule
    perturb: Perturbation
    align: Align
    levels: Levels
    freeze: Freeze
    teacher: Teacher
    narrow: Narrowing
    until: Stopping
    derive: Derivation | Explorer
    judge: Judge
    rungs: Rungs
    confirm: Confirmation
    unique: Unique
    epochs: int
    preferences: Preferences
    precision: Precision


@dataclass(frozen=True)
class Rule:
    """Two settings that exclude each other where ``broken`` holds, why, and what to do instead."""

    fields: tuple[str, str]
    broken: Callable[[Combined], bool]
    why: str

    def check(self, settings: Combined) -> None:
        """Refuse settings that break the rule.

        Raises:
            ConflictError: they do; it names both.
        """
        if self.broken(settings):
            raise ConflictError(self.why, *self.fields)
