"""Several objectives: what dominates what, and the order of NSGA-II. No torch.

Deb, Pratap, Agarwal, Meyarivan, "A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II" (IEEE Transactions on
Evolutionary Computation 6, 2002). Of each objective the higher value is the better.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, ...]
"""An architecture by its objectives, the higher the better."""


def dominates(left: Point, right: Point) -> bool:
    """Whether a point is as good as another in all objectives, and better in one."""
    return left != right and all(a >= b for a, b in zip(left, right, strict=True))


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """The points by fronts, in the order in which they are given: each is dominated by points of earlier ones alone."""
    values = np.asarray(points, dtype=np.float64)
    left, right = values[:, None], values[None]
    over: NDArray[np.bool_] = np.asarray((left >= right).all(2) & (left > right).any(2))
    waiting, found = np.ones(len(points), dtype=bool), []
    while waiting.any():
        best = waiting & ~over[waiting].any(0)
        found.append([int(at) for at in np.flatnonzero(best)])
        waiting &= ~best
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """How far the neighbours of each point of a front are, over all objectives; infinite at the ends.

    In each objective it is the distance of the next points to either side, as a share of the front's extent.
    """
    found = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda at: points[at][axis])
        extent = points[order[-1]][axis] - points[order[0]][axis]
        for at in (order[0], order[-1]):
            found[at] = float("inf")
        for before, at, after in zip(order, order[1:], order[2:], strict=False):
            if extent:
                found[at] += (points[after][axis] - points[before][axis]) / extent
    return found


def ranked(points: Sequence[Point]) -> list[tuple[int, float]]:
    """For each point its front, and less its distance from others in it: the lower, the better."""
    found = [(0, 0.0)] * len(points)
    for rank, members in enumerate(fronts(points)):
        distances = crowding([points[at] for at in members])
        for at, distance in zip(members, distances, strict=True):
            found[at] = rank, -distance
    return found


def surviving(points: Sequence[Point], count: int) -> list[int]:
    """The best of points, by their front and then by their distance from others in it; the earlier of equal ones."""
    order = ranked(points)
    return sorted(range(len(points)), key=lambda at: order[at])[:count]


def front(points: Sequence[Point]) -> list[int]:
    """The points that no other dominates, the best in the first objective first; of equal points the first."""
    found: list[int] = []
    for at in sorted(range(len(points)), key=lambda at: tuple(-value for value in points[at])):
        if not any(points[other] == points[at] or dominates(points[other], points[at]) for other in found):
            found.append(at)
    return found
