"""The sum of terms as one differentiable function, by algebra instead of operation by operation.

What a depthwise filter reads is normed and activated on the way, terms are weighed where they are added up, and of a
term nothing is stored that its gradient can do without. Everything is channels-last: rows are pixels, columns are
channels. `algebra_kernel` computes a term as a whole in C++; `algebra_torch` with torch's operations, by other algebra.
The gradients are written out; tests compare them in float64 with those of the operations one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compiler.backend.torch_modules.running_statistics import uses_batch
from compiler.ir.sums import Columns

from . import kernel
from .algebra_kernel import KernelTerms
from .algebra_torch import Kept, TorchTerms
from .operands import Bound, Holder, channels_last
from .program import Program, Step

SLOTS = len(Kept().tensors())


def weighted_sums(
    programs: Sequence[Program],
    holders: Sequence[Holder],
    mixing: Tensor | None,
    sources: Sequence[Tensor],
    parameters: Sequence[Tensor | None],
) -> tuple[Tensor, ...]:
    """The sums of the terms of programs.

    Args:
        programs: the terms.
        holders: the convolutions and norms that hold the parameters, in the order of the programs.
        mixing: the weights of the terms that have one.
        sources: the distinct sources, (n, c, h, w).
        parameters: `parameters_of` the holders.

    Returns:
        A tensor (n, c', h', w') for each program, channels-last in memory.

    Raises:
        ValueError: where a norm would take the variance of a single value.
    """
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
        results: list[Tensor] = []
        filtered: list[Tensor | None] = []
        every: list[Kept] = []
        for number, program in enumerate(programs):
            bound.begin()
            others = program.steps
            if terms is not None:
                part = terms.layout.parts[number]
                filtered += terms.forward(part, program.keep)
                others = part.others
            every += _forward(bound, TorchTerms(bound, program.keep), others)
            assert bound.y is not None
            results.append(bound.y.permute(0, 3, 1, 2))
        if terms is not None:
            terms.observe()
        bound.statistics.apply()
        ctx.programs, ctx.holders, ctx.batch, ctx.serves = programs, holders, batch, bound.serves
        ctx.sizes = count, len(parameters), len(filtered)
        moments = None if terms is None else terms.moments
        of_torch = (tensor for kept in every for tensor in kept.tensors())
        ctx.save_for_backward(bound.mixing, moments, *sources, *parameters, *filtered, *of_torch)
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        mixing, moments, *rest = ctx.saved_tensors
        saved = iter(rest)
        sources, parameters, filtered = (list(islice(saved, size)) for size in ctx.sizes)
        bound = Bound(ctx.holders, mixing, sources, parameters, ctx.batch, ctx.serves)
        wants, count = ctx.needs_input_grad, len(sources)
        bound.begin_backward(wants[2], wants[4 : 4 + count], wants[4 + count :])
        terms = KernelTerms(bound, ctx.programs, moments) if bound.serves else None
        of_kernel = iter(filtered)
        for number, (program, gradient) in enumerate(zip(ctx.programs, gradients, strict=True)):
            part = None if terms is None else terms.layout.parts[number]
            of_part = [] if part is None else list(islice(of_kernel, len(part.steps)))
            others = program.steps if part is None else part.others
            kept = [Kept(*islice(saved, SLOTS)) for _ in others]
            if gradient is None:
                continue
            dy = channels_last(gradient)
            if terms is not None and part is not None:
                total = terms.backward(part, dy, kernel.pitch(dy), of_part).to(dy.dtype)
            else:
                total = dy.sum((0, 1, 2))
            _backward(TorchTerms(bound, program.keep, dy, total), others, kept)
        return None, None, bound.to_mixing, None, *bound.to_images, *bound.to_parameters


def _forward(bound: Bound, by_torch: TorchTerms, steps: Sequence[Step]) -> list[Kept]:
    """Add terms to the sum (n, h, w, c) by torch; what the gradient of each needs."""
    kept = [
        by_torch.forward(step) if step.columns is None else _placed(bound, by_torch, step, step.columns)
        for step in steps
    ]
    if bound.constant is not None:
        assert bound.y is not None
        bound.y.add_(bound.constant)
    return kept


def _placed(bound: Bound, by_torch: TorchTerms, step: Step, columns: Columns) -> Kept:
    """A term of some channels: a sum of its own, then added where it belongs."""
    whole, constant = bound.y, bound.constant
    bound.begin()
    kept = by_torch.forward(step)
    made = bound.y
    assert made is not None
    if bound.constant is not None:
        made = made + bound.constant
    bound.y = made.new_zeros(*made.shape[:3], columns.width) if whole is None else whole
    bound.constant = constant
    bound.y[..., columns.first : columns.first + columns.count] += made
    return kept


def _backward(by_torch: TorchTerms, steps: Sequence[Step], kept: Sequence[Kept]) -> None:
    """All gradients of terms by torch."""
    for step, item in zip(steps, kept, strict=True):
        if step.columns is None:
            by_torch.backward(step, item)
            continue
        place = slice(step.columns.first, step.columns.first + step.columns.count)
        dy = by_torch.dy[..., place].contiguous()
        TorchTerms(by_torch.bound, by_torch.keep, dy, by_torch.total[place]).backward(step, item)
