"""Pareto labels: the ways to decide a part of a space that no other way dominates.

A label is a way to decide: its score, to be maximised, and its costs, to be minimised. A label that costs no less and
scores no more than another is dominated and dropped. Labels of independent parts add up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

MOST = 20_000
"""The most labels with one cost that are kept in one place; more are thinned out, and the result is not certain."""

MOST_OF_MANY = 3_000
"""The same for labels with several costs, of which few dominate each other."""

CHUNK = 512
"""How many labels are compared with all others at a time."""

Numbers: TypeAlias = "NDArray[Any]"


@dataclass(frozen=True, eq=False)
class Labels:
    """n labels.

    Args:
        scores: their scores, of shape (n,).
        costs: their costs, of shape (n, number of columns), in the sense in which less is better.
        origin: the choices that each stands for, of shape (n, number of parts).
        certain: whether no label was thinned out on the way.
    """

    scores: Numbers
    costs: Numbers
    origin: Numbers
    certain: bool = True

    @classmethod
    def single(cls, score: float, costs: Sequence[float]) -> Labels:
        """One label, with an empty origin."""
        return cls(np.array([score]), np.array([costs], dtype=float), np.zeros((1, 0), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.scores)

    def shifted(self, score: float, costs: Numbers) -> Labels:
        """With a score and costs, of shape (number of columns,), added to all."""
        return Labels(self.scores + score, self.costs + costs, self.origin, self.certain)

    def times(self, other: Labels, limits: Numbers) -> Labels:
        """The pruned sums of every pair; the origin of a pair is that of the left one and the number of the right one.

        Args:
            other: m labels.
            limits: the most of each cost, of shape (number of columns,).
        """
        left, right = np.meshgrid(np.arange(len(self)), np.arange(len(other)), indexing="ij")
        a, b = left.ravel(), right.ravel()
        pairs = Labels(
            self.scores[a] + other.scores[b],
            self.costs[a] + other.costs[b],
            np.column_stack([self.origin[a], b]),
            self.certain and other.certain,
        )
        return pairs.pruned(limits)

    def pruned(self, limits: Numbers) -> Labels:
        """Without labels that exceed a limit or are dominated, and thinned out where there are too many."""
        fits = (self.costs <= limits + 1e-9 * np.abs(limits)).all(1)
        kept = self.at(np.flatnonzero(fits))
        kept = kept.at(_front(kept.scores, kept.costs))
        most = MOST if self.costs.shape[1] <= 1 else min(MOST, MOST_OF_MANY)
        if len(kept) <= most:
            return kept
        spaced = np.unique(np.linspace(0, len(kept) - 1, most).astype(np.int64))
        thin = kept.at(spaced)
        return Labels(thin.scores, thin.costs, thin.origin, certain=False)

    def at(self, rows: Numbers) -> Labels:
        """The labels of these indices."""
        return Labels(self.scores[rows], self.costs[rows], self.origin[rows], self.certain)


def joined(parts: Sequence[Labels]) -> Labels:
    """The labels of several alternatives, with the number of the alternative in front of the origin."""
    width = max(part.origin.shape[1] for part in parts)
    origins = [
        np.column_stack([np.full(len(part), number), np.pad(part.origin, ((0, 0), (0, width - part.origin.shape[1])))])
        for number, part in enumerate(parts)
    ]
    return Labels(
        np.concatenate([part.scores for part in parts]),
        np.concatenate([part.costs for part in parts]),
        np.concatenate(origins),
        all(part.certain for part in parts),
    )


def _front(scores: Numbers, costs: Numbers) -> Numbers:
    """The indices of the rows that no other row dominates, of equal rows the first, in order of costs or scores.

    Args:
        scores: of shape (n,).
        costs: of shape (n, number of columns).
    """
    number = np.arange(len(scores))
    if not len(scores):
        return number
    if costs.shape[1] == 0:
        return np.array([np.argmax(scores)])
    if costs.shape[1] == 1:
        rows = np.lexsort([number, -scores, costs[:, 0]])
        before = np.maximum.accumulate(np.concatenate([[-np.inf], scores[rows][:-1]]))
        return rows[scores[rows] > before]
    rows = np.lexsort([number, *costs.T[::-1], -scores])
    kept = rows[:0]
    for start in range(0, len(rows), CHUNK):
        # What comes earlier scores no less, so it dominates where it costs no more.
        chunk = rows[start : start + CHUNK]
        chunk = chunk[~_covers(costs[kept], costs[chunk]).any(0)]
        kept = np.concatenate([kept, chunk[~np.triu(_covers(costs[chunk], costs[chunk]), 1).any(0)]])
    return kept


def _covers(some: Numbers, others: Numbers) -> Numbers:
    """Whether each of n rows of costs is at most each of m others in every column: of shape (n, m)."""
    found: Numbers = np.ones((len(some), len(others)), dtype=bool)
    for one, other in zip(some.T, others.T, strict=True):
        found &= one[:, None] <= other[None, :]
    return found
