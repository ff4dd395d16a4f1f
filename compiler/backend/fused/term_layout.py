"""Where the kernel finds everything that the terms of some plans read and write.

The kernel gets the addresses of sources and parameters, and for each term where among them its own are. The latter
depends only on shapes, so it is made once for many calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import torch

from . import kernel
from .kernel import Filter, Geometry, Term
from .plan import SumPlan, TermPlan

IDENTITY = Filter(1)
"""The filter of a term without one."""


@dataclass(frozen=True)
class KernelPart:
    """The terms of a plan, by who computes them."""

    terms: tuple[TermPlan, ...]
    """The terms that the kernel computes as a whole."""
    structures: bytes
    """The same as an array of `kernel.Term`."""
    shape: tuple[int, ...]
    """The shape of the sum, (n, h, w, c)."""
    parameters: tuple[int, ...]
    """Indices of the parameters that they have."""
    others: tuple[TermPlan, ...]
    """The terms that are left to torch."""
    plain: tuple[TermPlan, ...]
    """The terms that are their source, weighted; the kernel has a function for them."""
    needs_total: bool
    """Whether a gradient needs the sum over pixels of that of the sum."""


@dataclass(frozen=True)
class ObservedNorm:
    """A norm of which the kernel takes the moments, with the norms that follow it, and of how many values a channel."""

    norms: tuple[int, ...]
    width: int
    count: int


@dataclass(frozen=True)
class TermLayout:
    """The layout of the plans of a call."""

    parts: tuple[KernelPart, ...]
    """For each plan."""
    observed: tuple[ObservedNorm, ...]
    """In the order of their moments: mean, rate and variance of one norm, then of the next."""

    @property
    def widths(self) -> list[int]:
        """The lengths of the pieces of the moments."""
        return [norm.width for norm in self.observed for _ in range(3)]


@dataclass
class _Moments:
    """Gives the norms of a layout their places among the moments."""

    observed: list[ObservedNorm] = field(default_factory=list)
    end: int = 0

    def place(self, norm: int | None, tied: tuple[int, ...], width: int, count: int) -> int:
        """Where the moments of a norm begin; -1 for none."""
        if norm is None:
            return -1
        self.observed.append(ObservedNorm((norm, *tied), width, count))
        self.end += 3 * width
        return self.end - 3 * width


@lru_cache(maxsize=4096)  # more sums than a large network has
def layout_of(
    plans: tuple[SumPlan, ...],
    shapes: tuple[torch.Size, ...],
    pitches: tuple[int, ...],
    batch: tuple[bool, ...],
    eps: tuple[float, ...],
    matrices: tuple[int, ...],
) -> TermLayout:
    """The layout of plans.

    Args:
        plans: the terms.
        shapes: those of the sources, (n, h, w, c).
        pitches: how far their pixels are apart.
        batch: of each module, whether it is a norm that takes the statistics of the batch.
        eps: of each module, what a norm adds to variances.
        matrices: of each module, the first size of its weight; 0 for none.
    """
    moments = _Moments()
    parts = []
    for plan in plans:
        terms = tuple(term for term in plan.terms if not term.is_plain and can_run(term, batch))
        others = tuple(term for term in plan.terms if not term.is_plain and not can_run(term, batch))
        structures, shape = [], (0, 0, 0, 0)
        for term in terms:
            width = shapes[term.source][3] if term.projection is None else matrices[term.projection]
            made = _structure(term, shapes[term.source], pitches[term.source], width, eps, moments)
            structures.append(bytes(made))
            sizes = made.geometry
            channels = width if term.columns is None else term.columns.width
            shape = sizes.images, sizes.out_height, sizes.out_width, channels
        parts.append(
            KernelPart(
                terms,
                b"".join(structures),
                shape,
                tuple(sorted(set(_parameters(terms)))),
                others,
                plan.plain,
                bool(others) or plan.has_norm,
            )
        )
    return TermLayout(tuple(parts), tuple(moments.observed))


def _structure(
    term: TermPlan, shape: torch.Size, pitch: int, width: int, eps: tuple[float, ...], moments: _Moments
) -> Term:
    """A term of ``width`` channels for the kernel."""
    n, h, w, c = shape
    geometry = Geometry.of((n, h, w, c), term.geometry or IDENTITY, pitch, c)
    return Term(
        geometry,
        width,
        term.relu,
        term.source,
        -1 if term.weight is None else term.weight,
        term.places,
        term.first,
        moments.place(term.before, (), c, n * h * w),
        moments.place(term.norm, term.tied, width, n * geometry.out_height * geometry.out_width),
        0.0 if term.before is None else eps[term.before],
        0.0 if term.norm is None else eps[term.norm],
    )


def _parameters(terms: Sequence[TermPlan]) -> Iterator[int]:
    return (place for term in terms for place in term.places if place >= 0)


def can_run(term: TermPlan, batch: Sequence[bool]) -> bool:
    """Whether the kernel computes this term; ``batch`` says of each module whether it is a norm of batch statistics."""
    return (
        (term.before is None or batch[term.before])
        and (term.norm is None or batch[term.norm])
        and (term.geometry is None or kernel.supports(term.geometry))
    )
