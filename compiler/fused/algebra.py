"""The sum of terms as one differentiable function, by algebra instead of operation by operation.

A term ``w * norm(W z)`` is one matrix on the channels of z: with m and G the mean and the covariance of z,

    w * norm(W z) = V (z - m) + w beta,    V = diag(w gamma / sqrt(diag(W G W') + eps)) W

so neither ``W z`` nor its norm is ever stored, and the terms of a sum are added up product by product in one tensor.
z is centred before G is taken: E[z z'] - E[z] E[z]' would cancel. The same holds channel by channel where a norm has no
projection before it. What a depthwise filter reads is normed and activated on the way, and never stored either.

Everything is channels-last: rows are pixels, columns are channels. Terms that the kernel in C++ has are computed there
as a whole; `algebra_torch` does the same with torch's operations. The gradients are written out; tests compare them in
float64 with those of the operations one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import kernel
from .algebra_torch import TorchTerms
from .bound import Bound, Holder, channels_last
from .kernel import Filter, Gradients, Kept, Term
from .program import Program, Step
from .statistics import uses_batch

IDENTITY = Filter(1)
"""What a term without a filter has in its place."""

SLOTS = len(Kept().tensors())


def weighted_sums(
    programs: Sequence[Program], holders: Sequence[Holder], mixing: Tensor | None, sources: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """The sums of the terms of programs.

    Args:
        programs: the terms.
        holders: the convolutions and norms that hold the parameters, in the order of the programs.
        mixing: the weights of the terms that have one.
        sources: the distinct sources, (n, c, h, w).

    Returns:
        A tensor (n, c', h', w') for each program, channels-last in memory.

    Raises:
        ValueError: where a norm would take the variance of a single value.
    """
    parameters = [getattr(holder, name, None) for holder in holders for name in ("weight", "bias")]
    result: tuple[Tensor, ...] = _WeightedSums.apply(
        tuple(programs), tuple(holders), mixing, len(sources), *sources, *parameters
    )
    return result


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        programs: tuple[Program, ...],
        holders: tuple[Holder, ...],
        mixing: Tensor | None,
        count: int,
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        sources = [channels_last(x) for x in tensors[:count] if x is not None]
        batch = [uses_batch(holder) for holder in holders]
        bound = Bound(holders, mixing, sources, tensors[count:], batch)
        results, every = [], []
        for program in programs:
            y, kept = _Forward(bound, program).run()
            results.append(y.permute(0, 3, 1, 2))
            every += kept
        bound.statistics.apply()
        ctx.programs, ctx.holders, ctx.count, ctx.batch = programs, holders, count, batch
        ctx.save_for_backward(mixing, *sources, *tensors[count:], *(t for item in every for t in item.tensors()))
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        mixing, *rest = ctx.saved_tensors
        count, parameters = ctx.count, 2 * len(ctx.holders)
        sources, values, rest = rest[:count], rest[count : count + parameters], rest[count + parameters :]
        kept = iter([Kept(*rest[at : at + SLOTS]) for at in range(0, len(rest), SLOTS)])
        bound = Bound(ctx.holders, mixing, sources, values, ctx.batch)
        bound.wants_sources = ctx.needs_input_grad[4 : 4 + count]
        bound.wants_parameters = ctx.needs_input_grad[4 + count :]
        for program, gradient in zip(ctx.programs, gradients, strict=True):
            of_program = [next(kept) for _ in program.steps]
            if gradient is not None:
                _Backward(bound, program, channels_last(gradient)).run(of_program)
        to_mixing = bound.to_mixing() if ctx.needs_input_grad[2] else None
        to_sources = [None if g is None else g.permute(0, 3, 1, 2) for g in bound.to_sources]
        return None, None, to_mixing, None, *to_sources, *bound.to_parameters


def whole(bound: Bound, step: Step) -> Term | None:
    """The term for the kernel, where that can compute it as a whole."""
    matrix = bound.weight(step.projection)
    if matrix is None or not bound.serves or not (step.geometry is None or kernel.knows(step.geometry)):
        return None
    before = norm = None
    if step.before is not None:
        before = bound.affine(step.before)
        if not bound.batch[step.before]:
            return None
    if step.norm is not None:
        norm = bound.affine(step.norm)
        if not bound.batch[step.norm]:
            return None
    x, width = bound.sources[step.source], kernel.width(matrix.dtype)
    if matrix.shape[0] % width or matrix.shape[1] % width:
        return None
    taps = bound.weight(step.filter)
    return Term(
        x,
        bound.pitches[step.source],
        step.relu,
        step.geometry or IDENTITY,
        matrix.flatten(1).contiguous(),
        None if taps is None else taps.contiguous(),
        bound.share(step),
        before,
        norm,
    )


class _Forward:
    """The sum itself; moves the running statistics."""

    def __init__(self, bound: Bound, program: Program) -> None:
        self.bound, self.program = bound, program
        self.torch = TorchTerms(bound, program.keep)

    def run(self) -> tuple[Tensor, list[Kept]]:
        """The sum (n, h, w, c), and what each term's gradient needs."""
        bound = self.bound
        bound.begin()
        plain = self.program.plain if bound.serves else ()
        if plain:
            bound.y = bound.sources[plain[0].source].new_empty(bound.sources[plain[0].source].shape)
            kernel.plain_forward(bound.plain_terms(plain), bound.y, True)
        kept = [Kept() if step in plain else self.term(step) for step in self.program.steps]
        assert bound.y is not None
        if bound.constant is not None:
            bound.y.add_(bound.constant)
        return bound.y, kept

    def term(self, step: Step) -> Kept:
        term = whole(self.bound, step)
        if term is None:
            return self.torch.forward(step)
        bound, geometry = self.bound, term.geometry
        is_first = bound.y is None
        if bound.y is None:
            n, h, w, _ = term.x.shape
            bound.y = term.x.new_empty(n, geometry.size(h), geometry.size(w), len(term.matrix))
        kept, found = kernel.term_forward(term, bound.y, is_first, self.program.keep and step.filter is not None)
        if step.before is not None:
            n, h, w, _ = term.x.shape
            bound.observe((step.before,), kept.mean_before, found.variance_before, n * h * w)
        if step.norm is not None:
            n, h, w, _ = bound.y.shape
            bound.observe((step.norm, *step.tied), found.mean, found.variance, n * h * w)
        return kept


class _Backward:
    """All gradients, at ``dy`` (n, h, w, c) of dense rows of pixels."""

    def __init__(self, bound: Bound, program: Program, dy: Tensor) -> None:
        self.bound, self.program, self.dy, self.pitch = bound, program, dy, kernel.pitch(dy)

    def run(self, kept: Sequence[Kept]) -> None:
        bound = self.bound
        plain = self.program.plain if bound.serves else ()
        if not bound.serves:
            self.total = self.dy.sum((0, 1, 2))
        elif plain or self.program.has_norm:
            self.total = self.plain_terms(plain)
        else:
            self.total = self.dy.new_empty(0)
        terms = TorchTerms(bound, self.program.keep, self.dy, self.total)
        for step, item in zip(self.program.steps, kept, strict=True):
            if step in plain:
                continue
            term = whole(bound, step)
            if term is None:
                terms.backward(step, item)
            else:
                self.term(step, term, item)

    def plain_terms(self, steps: Sequence[Step]) -> Tensor:
        """The gradients of the terms that are sources; the result is the sum of dy over pixels."""
        bound = self.bound
        products, gradients, adds = [], [], []
        for step in steps:
            product = None
            if step.weight is not None:
                product = bound.to_shares[step.weight] = self.dy.new_empty(())
            products.append(product)
            wanted = bound.wants_sources[step.source]
            adds.append(bound.to_sources[step.source] is not None)
            gradients.append(bound.space_of_source(step.source) if wanted else None)
        return kernel.plain_backward(bound.plain_terms(steps), self.dy, self.pitch, products, gradients, adds)

    def term(self, step: Step, term: Term, kept: Kept) -> None:
        bound = self.bound
        is_there = bound.to_sources[step.source] is not None
        wants_source = bound.wants_sources[step.source]
        # What the norm before a filter rescales cannot be added to what is there.
        apart = step.before is not None and (is_there or not wants_source)
        dx = term.x.new_empty(term.x.shape) if apart else bound.space_of_source(step.source) if wants_source else None
        share = None
        if step.weight is not None:
            share = bound.to_shares[step.weight] = self.dy.new_empty(())
        to = Gradients(
            dx,
            bound.space(step.before, 0),
            bound.space(step.before, 1),
            bound.space(step.filter, 0),
            bound.space(step.projection, 0),
            bound.space(step.norm, 0),
            bound.space(step.norm, 1),
            share,
        )
        kernel.term_backward(term, kept, self.dy, self.pitch, self.total, to, is_there and not apart)
        if apart and wants_source and dx is not None:
            bound.give_source(step.source, dx)
