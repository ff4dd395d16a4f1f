"""The outcome of a search."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from compiler.searcher.engine.reporting.records import EpochRecord


@dataclass(frozen=True)
class SearchOutcome:
    """The result of a search."""

    decisions: dict[str, str]
    alphas: dict[str, Tensor]
    """On the CPU, by path."""
    epoch: int
    """The epoch, from 1, whose architecture this is: the last or the best, as the settings say."""
    score: float
    """The supernet's accuracy on the alpha half at the end of that epoch; of another task, what is larger if better."""
    best_epoch: int
    history: tuple[EpochRecord, ...]
    stopped: bool = False
    """Whether a callback ended it."""
