"""The terms of a sum by the C++ kernel, which computes each as a whole; everything is handed over by address."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import kernel
from .bound import Bound
from .kernel import EIGHT, FOUR, Filter
from .program import Program, Step

IDENTITY = Filter(1)
"""What a term without a filter has in its place."""


def serves(bound: Bound, step: Step) -> bool:
    """Whether the kernel computes this term."""
    return (
        bound.serves
        and (step.before is None or bound.batch[step.before])
        and (step.norm is None or bound.batch[step.norm])
        and (step.geometry is None or kernel.knows(step.geometry))
    )


class KernelTerms:
    """Terms forward and backward, for all programs of a call.

    ``moments`` holds, in float64, mean and rate of each norm, and forward behind them the variances.
    """

    def __init__(self, bound: Bound, programs: Sequence[Program], moments: Tensor | None = None) -> None:
        self.bound = bound
        self.dtype, self.threads = bound.sources[0].dtype, kernel.threads()
        self.width = kernel.width(self.dtype)
        self.size = bound.sources[0].element_size()
        # What `None` and `-1` of a step point to comes last: nothing.
        self.parameters = [0 if p is None else p.data_ptr() for p in bound.parameters] + [0]
        self.sources = [source.data_ptr() for source in bound.sources]
        self.shares = 0 if bound.mixing is None else bound.mixing.data_ptr()
        self.starts: dict[int, int] = {}
        """Where in ``moments`` those of each norm are."""
        self.widths: dict[int, int] = {}
        end = 0
        for step in (step for program in programs for step in program.steps if not step.is_plain):
            for norm, width in ((step.before, bound.sources[step.source].shape[3]), (step.norm, self.columns(step))):
                if norm is not None:
                    self.starts[norm], self.widths[norm] = end, width
                    end += 3 * width
        self.moments = bound.sources[0].new_empty(end, dtype=torch.float64) if moments is None else moments
        self.base = self.moments.data_ptr()
        self.computed: list[tuple[Step, int]] = []
        """Terms that were added to a sum, and of how many pixels that is."""

    def columns(self, step: Step) -> int:
        """How many channels a term has."""
        matrix = self.bound.weight(step.projection)
        return self.bound.sources[step.source].shape[3] if matrix is None else matrix.shape[0]

    # ------------------------------------------------------------ addresses

    def sizes(self, step: Step, columns: int, y_pitch: int, is_first: bool) -> bytes:
        bound = self.bound
        return kernel.term_sizes(
            bound.sources[step.source].shape,
            bound.pitches[step.source],
            step.geometry or IDENTITY,
            columns,
            y_pitch,
            step.relu,
            is_first,
            bound.eps(step.before),
            bound.eps(step.norm),
            self.threads,
        )

    def share(self, step: Step) -> int:
        return 0 if step.weight is None else self.shares + step.weight * self.size

    def inputs(self, step: Step) -> bytes:
        parameters = self.parameters
        return EIGHT(self.sources[step.source], *[parameters[at] for at in step.places], self.share(step))

    def moments_of(self, norm: int | None) -> tuple[int, int, int]:
        """The addresses of a norm's mean, rate and variance."""
        if norm is None:
            return 0, 0, 0
        at, width = self.base + 8 * self.starts[norm], 8 * self.widths[norm]
        return at, at + width, at + 2 * width

    # ------------------------------------------------------------ forward

    def forward(self, step: Step, keep: bool) -> Tensor | None:
        """Add a term to the sum; what its filter gives, where that is kept."""
        bound = self.bound
        x, geometry, columns = bound.sources[step.source], step.geometry or IDENTITY, self.columns(step)
        n, h, w, c = x.shape
        is_first = bound.start(step, (n, geometry.size(h), geometry.size(w), columns))
        y, z = bound.y, None
        assert y is not None
        if keep and step.filter is not None and geometry.k > 1:
            z = x.new_empty(*y.shape[:3], -(-c // self.width) * self.width)
        mean_before, rate_before, variance_before = self.moments_of(step.before)
        mean, rate, variance = self.moments_of(step.norm)
        kernel.term_forward(
            self.dtype,
            self.sizes(step, columns, y.shape[3], is_first),
            self.inputs(step),
            FOUR(mean_before, rate_before, mean, rate),
            y.data_ptr() + self.size * step.first,
            0 if z is None else z.data_ptr(),
            variance_before,
            variance,
        )
        self.computed.append((step, y.shape[0] * y.shape[1] * y.shape[2]))
        return z

    def observe(self) -> None:
        """Let the running statistics of the norms of all terms that were computed follow."""
        rounded = self.moments.to(self.dtype)
        for step, pixels in self.computed:
            if step.before is not None:
                n, h, w, _ = self.bound.sources[step.source].shape
                self._observe(rounded, (step.before,), n * h * w)
            if step.norm is not None:
                self._observe(rounded, (step.norm, *step.tied), pixels)

    def _observe(self, rounded: Tensor, norms: tuple[int, ...], count: int) -> None:
        start, width = self.starts[norms[0]], self.widths[norms[0]]
        mean = rounded[start : start + width]
        self.bound.observe(norms, mean, rounded[start + 2 * width : start + 3 * width], count)

    # ------------------------------------------------------------ backward

    def backward(self, step: Step, z: Tensor | None, dy: Tensor, pitch: int, total: Tensor) -> None:
        """Give all gradients of a term, at ``dy`` (n, h, w, c) whose sum over pixels is ``total``."""
        bound = self.bound
        x = bound.sources[step.source]
        is_there, wants_source = bound.to_sources[step.source] is not None, bound.wants_sources[step.source]
        # What the norm before a filter rescales cannot be added to what is there.
        apart = step.before is not None and (is_there or not wants_source)
        dx = x.new_empty(x.shape) if apart else bound.space_of_source(step.source) if wants_source else None
        made = [None if at < 0 else bound.space(at) for at in step.places]
        share = 0
        if step.weight is not None and bound.to_mixing is not None:
            share = bound.to_mixing.data_ptr() + step.weight * self.size
        mean_before, rate_before, _ = self.moments_of(step.before)
        mean, rate, _ = self.moments_of(step.norm)
        kernel.term_backward(
            self.dtype,
            self.sizes(step, self.columns(step), pitch, False),
            self.inputs(step),
            FOUR(mean_before, rate_before, mean, rate),
            dy.data_ptr() + self.size * step.first,
            total.data_ptr() + 8 * step.first,
            0 if z is None else z.data_ptr(),
            EIGHT(0 if dx is None else dx.data_ptr(), *[0 if one is None else one.data_ptr() for one in made], share),
            0 if dx is None else dx.shape[3],
            is_there and not apart,
        )
        if apart and wants_source and dx is not None:
            bound.give_source(step.source, dx)

    # ------------------------------------------------------------ terms that are their source, weighted

    def plain(self, steps: Sequence[Step]) -> kernel.Plain:
        """Those terms, for the kernel."""
        return kernel.Plain(
            tuple(self.sources[step.source] for step in steps),
            tuple(self.bound.pitches[step.source] for step in steps),
            tuple(self.share(step) for step in steps),
        )

    def plain_forward(self, steps: Sequence[Step]) -> None:
        """Begin the sum with them."""
        source = self.bound.sources[steps[0].source]
        self.bound.y = source.new_empty(source.shape)
        kernel.plain_forward(self.plain(steps), self.bound.y, True)

    def plain_backward(self, steps: Sequence[Step], dy: Tensor, pitch: int) -> Tensor:
        """Their gradients; the result is the sum of dy over pixels, in float64."""
        bound = self.bound
        products, gradients, adds = [], [], []
        for step in steps:
            to = bound.to_mixing
            products.append(0 if to is None or step.weight is None else to.data_ptr() + step.weight * self.size)
            adds.append(bound.to_sources[step.source] is not None)
            wanted = bound.wants_sources[step.source]
            gradients.append(bound.space_of_source(step.source) if wanted else None)
        return kernel.plain_backward(self.plain(steps), dy, pitch, products, gradients, adds)
