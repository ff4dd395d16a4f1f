"""Roles: the operators that fused sums compute, as data. Passes ask for these, never for the name of a primitive."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from compiler.ir.shape import Extent


@dataclass(frozen=True)
class BatchNormalisation:
    """A batch norm, with a scale and a shift for each channel where it is ``affine``."""

    affine: bool


@dataclass(frozen=True)
class Rectifier:
    """max(x, 0), element by element."""


@dataclass(frozen=True)
class Pointwise:
    """A dense 1x1 convolution without bias or padding: a matrix on the channels of every ``stride``-th pixel."""

    stride: int


class Reduction(Enum):
    """How a window of pixels becomes one: by weights of each channel, by its largest, or by its mean.

    At the border a mean divides by the size of the window where it counts the padding, else by the pixels inside.
    """

    WEIGHTS = "weights"
    MAX = "max"
    MEAN = "mean"
    MEAN_COUNTING_PADDING = "mean, padding counted"


@dataclass(frozen=True)
class Window:
    """A k x k window over each channel by itself: a depthwise convolution without bias, or a pool.

    ``channels`` are those of a depthwise convolution, which tell it from a grouped one; None for pools.
    """

    reduction: Reduction
    k: int
    stride: int
    pad: int
    dilation: int = 1
    channels: Extent | None = None


@dataclass(frozen=True)
class Corner:
    """The image without its first ``top`` rows and ``left`` columns."""

    top: int
    left: int


Role: TypeAlias = "BatchNormalisation | Rectifier | Pointwise | Window | Corner"
