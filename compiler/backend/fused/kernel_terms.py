"""The terms of a sum by the C++ kernel, which computes all that it supports of a sum in one call."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import kernel
from .kernel import Addresses, PlainAddresses
from .operands import Accumulator, Gradients, Operands
from .plan import SumPlan, TermPlan
from .term_layout import KernelPart, layout_of

FEW = 8
"""Of so many channels, at most, a separable convolution is computed again in the backward pass of what reads it."""


class KernelTerms:
    """Terms forward and backward, for all plans of a call.

    Args:
        operands: what the plans read.
        plans: the terms.
        moments: those of the norms from the forward pass, in float64, as the layout has them; None to make them.
    """

    def __init__(self, operands: Operands, plans: tuple[SumPlan, ...], moments: Tensor | None = None) -> None:
        self.operands, self.plans = operands, plans
        source = operands.sources[0]
        self.dtype, self.size = source.dtype, source.element_size()
        self.layout = layout_of(
            plans,
            tuple(source.shape for source in operands.sources),
            tuple(operands.pitches),
            tuple(operands.batch),
            tuple([operands.norm(at).eps if batch else 0.0 for at, batch in enumerate(operands.batch)]),
            tuple([0 if weight is None else weight.shape[0] for weight in operands.parameters[::2]]),
        )
        self.widths = self.layout.widths
        self.moments = source.new_empty(sum(self.widths), dtype=torch.float64) if moments is None else moments
        self.addresses = Addresses.of(operands.sources, operands.parameters, operands.mixing)

    # ------------------------------------------------------------ forward

    def forward(self, part: KernelPart, total: Accumulator, keep: bool) -> list[Tensor | None]:
        """Begin a sum with the terms of a part.

        Returns:
            What the filter of each term gives, (n, h', w', c) with c filled up to whole vectors, where that is kept.
        """
        if part.plain:
            self.plain_forward(part.plain, total)
        kept: list[Tensor | None] = [None] * len(part.terms)
        if not part.terms:
            return kept
        like, is_first = self.operands.sources[0], total.y is None
        if total.y is None:
            # Terms of some columns are added to zeros.
            is_first = all(term.columns is None for term in part.terms)
            total.y = like.new_empty(part.shape) if is_first else like.new_zeros(part.shape)
        if keep:
            lanes = kernel.lanes(self.dtype)
            for number, term in enumerate(part.terms):
                if term.filter is not None and term.geometry is not None and term.geometry.k > 1:
                    c = self.operands.sources[term.source].shape[3]
                    kept[number] = like.new_empty(*part.shape[:3], -(-c // lanes) * lanes)
        kernel.terms_forward(self.dtype, part.structures, self.addresses, self.moments, total.y, is_first, kept)
        return kept

    def is_normed(self, number: int) -> bool:
        """Whether the sum of a plan is the norm of one term, without parameters, and so gives what is normed."""
        part = self.layout.parts[number]
        if len(part.terms) != 1 or part.plain or part.others:
            return False
        (term,) = part.terms
        if term.norm is None or term.weight is not None or term.columns is not None:
            return False
        return self.operands.weight(term.norm) is None and self.operands.bias(term.norm) is None

    def is_cheap(self, number: int) -> bool:
        """Whether the sum of a plan is one separable convolution of few channels.

        Then it is computed again for those that read it, about as fast as a sum of many channels is read from memory.
        """
        plan, part = self.plans[number], self.layout.parts[number]
        if not plan.is_convolution or part.others:
            return False
        return max(part.shape[3], self.operands.sources[part.terms[0].source].shape[3]) <= FEW

    def observe(self, total: Accumulator) -> None:
        """Let the running statistics of all norms follow."""
        if not self.layout.observed:
            return
        pieces = torch.split(self.moments.to(self.dtype), self.widths)
        for norm, mean, variance in zip(self.layout.observed, pieces[::3], pieces[2::3], strict=True):
            total.observe(norm.norms, mean, variance, norm.count)

    # ------------------------------------------------------------ backward

    def backward(
        self,
        part: KernelPart,
        gradients: Gradients,
        dy: Tensor,
        kept: Sequence[Tensor | None],
        normed: Tensor | None = None,
    ) -> Tensor:
        """Set all gradients of a part's terms.

        Args:
            part: the terms.
            gradients: where they go.
            dy: the gradient of the sum, (n, h', w', c') of dense rows of pixels.
            kept: what `forward` returned.
            normed: the sum itself, (n, c', h', w'), where `is_normed`.

        Returns:
            The sum of dy over pixels, (c') in float64; of no meaning where neither a norm nor a term by torch needs it.
        """
        if part.plain or part.needs_total:
            total = self.plain_backward(part.plain, gradients, dy)
        else:
            total = dy.new_empty(dy.shape[3], dtype=torch.float64)
        if part.terms:
            for place in part.parameters:
                gradients.allocate(place)
            to = Addresses.of(gradients.sources, gradients.parameters, gradients.mixing)
            kernel.terms_backward(
                *(self.dtype, part.structures, self.addresses, self.moments, dy, total, kept, normed),
                *(to, gradients.written),
            )
        return total

    # ------------------------------------------------------------ terms that are their source, weighted

    def plain(self, terms: Sequence[TermPlan]) -> PlainAddresses:
        """The terms as the kernel takes them."""
        operands = self.operands
        shares = 0 if operands.mixing is None else operands.mixing.data_ptr()
        return PlainAddresses(
            tuple(operands.sources[term.source].data_ptr() for term in terms),
            tuple(operands.pitches[term.source] for term in terms),
            tuple(0 if term.weight is None else shares + term.weight * self.size for term in terms),
        )

    def plain_forward(self, terms: Sequence[TermPlan], total: Accumulator) -> None:
        """Begin a sum with them."""
        source = self.operands.sources[terms[0].source]
        total.y = source.new_empty(source.shape)
        kernel.plain_forward(self.plain(terms), total.y, True)

    def plain_backward(self, terms: Sequence[TermPlan], gradients: Gradients, dy: Tensor) -> Tensor:
        """Set their gradients.

        Returns:
            The sum of dy over pixels, (c') in float64.
        """
        mixing = gradients.mixing
        products, to_sources, adds = [], [], []
        for term in terms:
            products.append(0 if mixing is None or term.weight is None else mixing.data_ptr() + term.weight * self.size)
            to_sources.append(gradients.sources[term.source])
            adds.append(gradients.written[term.source] != 0)
            if to_sources[-1] is not None:
                gradients.written[term.source] = 1
        return kernel.plain_backward(self.plain(terms), dy, products, to_sources, adds)
