"""Shapes of tensors: those of one image, channels first, whose extents may be undecided or open."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

from .undecided import Open, Var, largest

Extent: TypeAlias = int | Var[int] | Open
"""The size of one dimension: a number, a number for each choice, or one that its readers determine."""

Ints: TypeAlias = tuple[int, ...]
"""A shape whose extents are all numbers."""


@dataclass(frozen=True)
class Shape:
    """The shape of one image's tensor, channels first: (c, h, w), (c, d, h, w) of a volume, (c, n) of tokens or
    a series, (c) of a vector, (n) of numbers of tokens."""

    dims: tuple[Extent, ...]

    @property
    def c(self) -> Extent:
        """The number of channels."""
        return self.dims[0]

    @property
    def space(self) -> tuple[Extent, ...]:
        """Everything but the channels."""
        return self.dims[1:]

    @cached_property
    def largest(self) -> Ints:
        """The shape with every undecided width at its largest; an open width counts as 0."""
        return tuple(0 if isinstance(dim, Open) else int(largest(dim)) for dim in self.dims)

    def __str__(self) -> str:
        return "x".join(str(dim) for dim in self.dims)
