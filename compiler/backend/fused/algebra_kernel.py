"""The terms of a sum by the C++ kernel, which computes all that it knows of a sum at once.

The kernel gets addresses of sources and parameters, and for each term where among them its own are. The latter depends
only on shapes, so it is made once: a `Layout`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from . import kernel
from .kernel import Addresses, Filter, Place
from .operands import Bound
from .program import Program, Step

IDENTITY = Filter(1)
"""What a term without a filter has in its place."""


@dataclass(frozen=True)
class Served:
    """The terms of a program that the kernel computes, and what they are for it."""

    steps: tuple[Step, ...]
    terms: bytes
    shape: tuple[int, ...]
    """Of the sum, (n, h, w, c)."""
    places: tuple[int, ...]
    """Of the parameters that they have."""
    others: tuple[Step, ...]
    """The terms that neither the kernel computes nor are their source, weighted."""
    plain: tuple[Step, ...]
    needs_total: bool
    """Whether a gradient needs the sum of that of the sum over pixels."""


@dataclass(frozen=True)
class Layout:
    """Where everything is that the terms of some programs read and write."""

    parts: tuple[Served, ...]
    """For each program."""
    widths: tuple[int, ...]
    """How long pieces of the moments are: mean, rate and variance of one norm, then of the next."""
    observed: tuple[tuple[tuple[int, ...], int], ...]
    """Those norms, each with the ones that follow it, and how many values they take the moments of."""


@lru_cache(maxsize=4096)  # more sums than a large network has
def layout(
    programs: tuple[Program, ...],
    shapes: tuple[torch.Size, ...],
    pitches: tuple[int, ...],
    batch: tuple[bool, ...],
    eps: tuple[float, ...],
    matrices: tuple[int, ...],
) -> Layout:
    """The layout of programs.

    Args:
        programs: the terms.
        shapes: those of the sources, (n, h, w, c).
        pitches: how far their pixels are apart.
        batch: of each module, whether it is a norm that takes the statistics of the batch.
        eps: of each module, what a norm adds to variances.
        matrices: of each module, the first size of its weight; 0 for none.
    """
    end, widths = 0, list[int]()
    observed: list[tuple[tuple[int, ...], int]] = []

    def place(norm: int | None, tied: tuple[int, ...], width: int, count: int) -> int:
        """Where the moments of a norm are."""
        nonlocal end
        if norm is None:
            return -1
        widths.extend((width, width, width))
        observed.append(((norm, *tied), count))
        end += 3 * width
        return end - 3 * width

    parts = []
    for program in programs:
        rest = [step for step in program.steps if not step.is_plain]
        steps = tuple(step for step in rest if serves(step, batch))
        others = tuple(step for step in rest if not serves(step, batch))
        terms, size = [], (0, 0, 0, 0)
        for step in steps:
            (n, h, w, c), g = shapes[step.source], step.geometry or IDENTITY
            ho, wo = g.size(h), g.size(w)
            columns = c if step.projection is None else matrices[step.projection]
            terms.append(
                Place(
                    kernel.numbers((n, h, w, c), g, pitches[step.source], c),
                    columns,
                    step.relu,
                    step.source,
                    -1 if step.weight is None else step.weight,
                    step.places,
                    step.first,
                    place(step.before, (), c, n * h * w),
                    place(step.norm, step.tied, columns, n * ho * wo),
                    0.0 if step.before is None else eps[step.before],
                    0.0 if step.norm is None else eps[step.norm],
                ).packed()
            )
            size = (n, ho, wo, columns if step.columns is None else step.columns.width)
        parts.append(
            Served(
                steps,
                b"".join(terms),
                size,
                tuple(sorted({at for step in steps for at in step.places if at >= 0})),
                others,
                program.plain,
                bool(others) or program.has_norm,
            )
        )
    return Layout(tuple(parts), tuple(widths), tuple(observed))


def serves(step: Step, batch: Sequence[bool]) -> bool:
    """Whether the kernel computes this term."""
    return (
        (step.before is None or batch[step.before])
        and (step.norm is None or batch[step.norm])
        and (step.geometry is None or kernel.knows(step.geometry))
    )


class KernelTerms:
    """Terms forward and backward, for all programs of a call.

    ``moments`` are those of the norms, in float64, as the layout has them.
    """

    def __init__(self, bound: Bound, programs: tuple[Program, ...], moments: Tensor | None = None) -> None:
        self.bound = bound
        source = bound.sources[0]
        self.dtype, self.size = source.dtype, source.element_size()
        self.layout = layout(
            programs,
            tuple(source.shape for source in bound.sources),
            tuple(bound.pitches),
            tuple(bound.batch),
            tuple([bound.eps(at) if batch else 0.0 for at, batch in enumerate(bound.batch)]),
            tuple([0 if weight is None else weight.shape[0] for weight in bound.parameters[::2]]),
        )
        self.moments = source.new_empty(sum(self.layout.widths), dtype=torch.float64) if moments is None else moments
        self.addresses = Addresses.of(bound.sources, bound.parameters, bound.mixing)

    # ------------------------------------------------------------ forward

    def forward(self, part: Served, keep: bool) -> list[Tensor | None]:
        """Begin the sum with the terms of a part; what their filters give, where that is kept."""
        bound = self.bound
        if part.plain:
            self.plain_forward(part.plain)
        kept: list[Tensor | None] = [None] * len(part.steps)
        if not part.steps:
            return kept
        like, is_first = bound.sources[0], bound.y is None
        if bound.y is None:
            # Terms of some columns are added to zeros.
            is_first = all(step.columns is None for step in part.steps)
            bound.y = like.new_empty(part.shape) if is_first else like.new_zeros(part.shape)
        if keep:
            width = kernel.width(self.dtype)
            for number, step in enumerate(part.steps):
                if step.filter is not None and step.geometry is not None and step.geometry.k > 1:
                    c = bound.sources[step.source].shape[3]
                    kept[number] = like.new_empty(*part.shape[:3], -(-c // width) * width)
        kernel.terms_forward(self.dtype, part.terms, self.addresses, self.moments, bound.y, is_first, kept)
        return kept

    def observe(self) -> None:
        """Let the running statistics of all norms follow."""
        if not self.layout.observed:
            return
        pieces = torch.split(self.moments.to(self.dtype), list(self.layout.widths))
        means, variances = pieces[::3], pieces[2::3]
        for (norms, count), mean, variance in zip(self.layout.observed, means, variances, strict=True):
            self.bound.observe(norms, mean, variance, count)

    # ------------------------------------------------------------ backward

    def backward(self, part: Served, dy: Tensor, pitch: int, kept: Sequence[Tensor | None]) -> Tensor:
        """Give all gradients of a part's terms, at ``dy`` (n, h, w, c).

        Returns:
            The sum of dy over pixels, in float64; of no meaning where neither a norm nor a term by torch needs it.
        """
        bound = self.bound
        if part.plain or part.needs_total:
            total = self.plain_backward(part.plain, dy, pitch)
        else:
            total = dy.new_empty(dy.shape[3], dtype=torch.float64)
        if part.steps:
            for at in part.places:
                bound.space(at)
            gradients = Addresses.of(bound.to_sources, bound.to_parameters, bound.to_mixing)
            kernel.terms_backward(
                self.dtype,
                part.terms,
                self.addresses,
                self.moments,
                dy,
                pitch,
                total,
                kept,
                gradients,
                bound.there,
            )
        return total

    # ------------------------------------------------------------ terms that are their source, weighted

    def plain(self, steps: Sequence[Step]) -> kernel.Plain:
        """Those terms, for the kernel."""
        bound = self.bound
        shares = 0 if bound.mixing is None else bound.mixing.data_ptr()
        return kernel.Plain(
            tuple(bound.sources[step.source].data_ptr() for step in steps),
            tuple(bound.pitches[step.source] for step in steps),
            tuple(0 if step.weight is None else shares + step.weight * self.size for step in steps),
        )

    def plain_forward(self, steps: Sequence[Step]) -> None:
        """Begin the sum with them."""
        source = self.bound.sources[steps[0].source]
        self.bound.y = source.new_empty(source.shape)
        kernel.plain_forward(self.plain(steps), self.bound.y, True)

    def plain_backward(self, steps: Sequence[Step], dy: Tensor, pitch: int) -> Tensor:
        """Their gradients; the result is the sum of dy over pixels, in float64."""
        bound = self.bound
        to = bound.to_mixing
        products, gradients, adds = [], [], []
        for step in steps:
            products.append(0 if to is None or step.weight is None else to.data_ptr() + step.weight * self.size)
            gradients.append(bound.to_sources[step.source])
            adds.append(bound.there[step.source] != 0)
            if gradients[-1] is not None:
                bound.there[step.source] = 1
        return kernel.plain_backward(self.plain(steps), dy, pitch, products, gradients, adds)
