"""Filters as plain data: depthwise convolutions, pools and crops, and which of them the kernel supports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

SIDES = (3, 5, 7)
"""Sides of the windows that the C++ code is compiled for."""


class Kind(IntEnum):
    """How a filter reduces the pixels under its window; the numbers are those of ``Kind`` in filters.h."""

    CONVOLUTION = 0
    MAX_POOL = 1
    AVG_POOL = 2
    AVG_POOL_COUNTING_PAD = 3


@dataclass(frozen=True)
class Filter:
    """The geometry of a depthwise convolution, or a pool, with a square window of k x k pixels.

    With ``k`` = 1 there is no window: every ``stride``-th pixel is taken, the first ``-pad`` rows and columns left out.
    """

    k: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    kind: Kind = Kind.CONVOLUTION

    def size(self, length: int) -> int:
        """The length of a side of the output, in pixels, for an input of ``length`` pixels."""
        padded = length + (2 * self.pad if self.k > 1 else self.pad)
        return (padded - self.dilation * (self.k - 1) - 1) // self.stride + 1


def supports(geometry: Filter) -> bool:
    """Whether the kernel has this filter."""
    if geometry.k == 1:
        return geometry.pad <= 0
    return geometry.k in SIDES and geometry.stride in (1, 2) and geometry.pad <= geometry.dilation * (geometry.k - 1)
