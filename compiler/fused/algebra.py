"""The sum of terms as one differentiable function, by algebra instead of operation by operation.

What a depthwise filter reads is normed and activated on the way, terms are weighed where they are added up, and of a
term nothing is stored that its gradient can do without. Everything is channels-last: rows are pixels, columns are
channels. `algebra_kernel` computes a term as a whole in C++; `algebra_torch` with torch's operations, by other algebra.
The gradients are written out; tests compare them in float64 with those of the operations one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..graph import Columns
from . import kernel
from .algebra_kernel import KernelTerms, serves
from .algebra_torch import TorchTerms
from .bound import Bound, Holder, channels_last
from .kernel import Kept
from .program import Program, Step
from .statistics import uses_batch

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
        parameters = [p if p is None or p.is_contiguous() else p.contiguous() for p in tensors[count:]]
        bound = Bound(holders, mixing, sources, parameters, batch, kernel.serves(sources[0]))
        terms = KernelTerms(bound, programs) if bound.serves else None
        results, every = [], []
        for program in programs:
            y, kept = _forward(bound, terms, program)
            results.append(y.permute(0, 3, 1, 2))
            every += kept
        if terms is not None:
            terms.observe()
        bound.statistics.apply()
        ctx.programs, ctx.holders, ctx.count, ctx.batch, ctx.serves = programs, holders, count, batch, bound.serves
        moments = None if terms is None else terms.moments
        ctx.save_for_backward(mixing, moments, *sources, *parameters, *(t for item in every for t in item.tensors()))
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        mixing, moments, *rest = ctx.saved_tensors
        count, size = ctx.count, 2 * len(ctx.holders)
        sources, parameters, rest = rest[:count], rest[count : count + size], rest[count + size :]
        kept = iter([Kept(*rest[at : at + SLOTS]) for at in range(0, len(rest), SLOTS)])
        bound = Bound(ctx.holders, mixing, sources, parameters, ctx.batch, ctx.serves)
        wants = ctx.needs_input_grad
        bound.begin_backward(wants[2], wants[4 : 4 + count], wants[4 + count :])
        terms = KernelTerms(bound, ctx.programs, moments) if bound.serves else None
        for program, gradient in zip(ctx.programs, gradients, strict=True):
            of_program = [next(kept) for _ in program.steps]
            if gradient is not None:
                _backward(bound, terms, program, channels_last(gradient), of_program)
        return None, None, bound.to_mixing, None, *bound.to_images, *bound.to_parameters


def _forward(bound: Bound, terms: KernelTerms | None, program: Program) -> tuple[Tensor, list[Kept]]:
    """The sum (n, h, w, c), and what each term's gradient needs; moves the running statistics."""
    bound.begin()
    by_torch = TorchTerms(bound, program.keep)
    plain = program.plain if terms is not None else ()
    if terms is not None and plain:
        terms.plain_forward(plain)
    kept = []
    for step in program.steps:
        if step in plain:
            kept.append(Kept())
        elif terms is not None and serves(bound, step):
            kept.append(Kept(terms.forward(step, program.keep)))
        elif step.columns is not None:
            kept.append(_placed(bound, by_torch, step, step.columns))
        else:
            kept.append(by_torch.forward(step))
    assert bound.y is not None
    if bound.constant is not None:
        bound.y.add_(bound.constant)
    return bound.y, kept


def _placed(bound: Bound, by_torch: TorchTerms, step: Step, columns: Columns) -> Kept:
    """A term of some channels, by torch: a sum of its own, then added where it belongs."""
    whole, constant = bound.y, bound.constant
    bound.begin()
    kept = by_torch.forward(step)
    made = bound.y
    assert made is not None
    if bound.constant is not None:
        made = made + bound.constant
    bound.y, bound.constant = whole, constant
    bound.start(step, made.shape)
    assert bound.y is not None
    bound.y[..., columns.first : columns.first + columns.count] += made
    return kept


def _backward(bound: Bound, terms: KernelTerms | None, program: Program, dy: Tensor, kept: Sequence[Kept]) -> None:
    """All gradients, at ``dy`` (n, h, w, c) of dense rows of pixels."""
    plain = program.plain if terms is not None else ()
    pitch = kernel.pitch(dy)
    if terms is None:
        total = dy.sum((0, 1, 2))
    elif plain or program.has_norm:
        total = terms.plain_backward(plain, dy, pitch)
    else:
        total = dy.new_empty(0)
    by_torch = TorchTerms(bound, program.keep, dy, total.to(dy.dtype))
    for step, item in zip(program.steps, kept, strict=True):
        if step in plain:
            continue
        if terms is not None and serves(bound, step):
            terms.backward(step, item.z, dy, pitch, total)
        elif step.columns is not None:
            place = slice(step.columns.first, step.columns.first + step.columns.count)
            some = TorchTerms(bound, program.keep, dy[..., place].contiguous(), by_torch.total[place])
            some.backward(step, item)
        else:
            by_torch.backward(step, item)
