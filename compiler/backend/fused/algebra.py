"""The sum of terms as one differentiable function, by algebra instead of operation by operation.

What a depthwise filter reads is normed and activated on the way, terms are weighed where they are added up, and of a
term nothing is stored that its gradient can do without. Everything is channels-last: rows are pixels, columns are
channels. `kernel_terms` computes a term as a whole in C++; `torch_forward` and `torch_backward` with torch's
operations, by other algebra. The gradients are written out; tests compare them in float64 with those of the operations
one by one. Some sums are not held by the calls that read them, but computed again in their backward pass, of what the
call that made them held (`_call_of`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from compiler.backend.torch_modules.once_differentiable import once_differentiable

from .kernel_terms import KernelTerms
from .operands import Accumulator, Gradients, Operands, ParameterModule, channels_last
from .plan import SumPlan, TermPlan
from .torch_backward import TorchBackward
from .torch_forward import TorchForward
from .torch_terms import SavedTerm

SLOTS = len(SavedTerm().tensors())


def weighted_sums(
    plans: Sequence[SumPlan],
    modules: Sequence[ParameterModule],
    mixing: Tensor | None,
    sources: Sequence[Tensor],
    parameters: Sequence[Tensor | None],
) -> tuple[Tensor, ...]:
    """The sums of the terms of plans.

    Args:
        plans: the terms.
        modules: the convolutions, norms and pools of the plans, in their order.
        mixing: the weights of the terms that have one, (terms); None where none has.
        sources: the distinct sources, (n, c, h, w).
        parameters: `parameters_of` the modules.

    Returns:
        A tensor (n, c', h', w') for each plan, channels-last in memory.

    Raises:
        ValueError: where a norm would take the variance of a single value.
    """
    result: tuple[Tensor, ...] = _WeightedSums.apply(
        tuple(plans), tuple(modules), mixing, len(sources), *sources, *parameters
    )
    return result


class _WeightedSums(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        plans: tuple[SumPlan, ...],
        modules: tuple[ParameterModule, ...],
        mixing: Tensor | None,
        count: int,
        *tensors: Tensor | None,
    ) -> tuple[Tensor, ...]:
        images = [x for x in tensors[:count] if x is not None]
        operands = Operands.of(modules, mixing, images, tensors[count:])
        terms = KernelTerms(operands, plans) if operands.uses_kernel else None
        total = Accumulator(operands)
        results: list[Tensor] = []
        filtered: list[Tensor | None] = []
        every: list[SavedTerm] = []
        for number, plan in enumerate(plans):
            total.begin()
            others = plan.terms
            if terms is not None:
                part = terms.layout.parts[number]
                filtered += terms.forward(part, total, plan.keep)
                others = part.others
            every += [_forward(term, total, plan.keep) for term in others]
            results.append(total.finish().permute(0, 3, 1, 2))
        if terms is not None:
            terms.observe(total)
        total.statistics.apply()
        ctx.plans, ctx.modules, ctx.batch, ctx.uses_kernel = plans, modules, operands.batch, operands.uses_kernel
        ctx.sizes = count, len(operands.parameters), len(filtered)
        ctx.again = [terms is not None and terms.is_cheap(at) for at in range(len(plans))]
        ctx.origins, ctx.call = tuple(map(_origin, images)), None
        moments = None if terms is None else terms.moments
        holds = [plan.keep_sum and terms is not None and terms.is_normed(at) for at, plan in enumerate(plans)]
        normed = [y if held else None for y, held in zip(results, holds, strict=True)]
        sources = [x if made is None else None for x, made in zip(operands.sources, ctx.origins, strict=True)]
        of_torch = (tensor for saved in every for tensor in saved.tensors())
        ctx.save_for_backward(
            *(operands.mixing, moments, *normed, *sources, *operands.parameters, *filtered, *of_torch)
        )
        ctx.set_materialize_grads(False)
        return tuple(results)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *results: Tensor | None) -> tuple[Any, ...]:
        call, ctx.call = _call_of(ctx), None
        operands, terms = call.operands, call.terms
        wants, first = ctx.needs_input_grad, 4 + len(operands.sources)
        gradients = Gradients(operands, wants[2], wants[4:first], wants[first:])
        of_kernel, saved = iter(call.filtered), iter(call.of_torch)
        for number, (plan, result) in enumerate(zip(ctx.plans, results, strict=True)):
            part = None if terms is None else terms.layout.parts[number]
            kept = [] if part is None else list(islice(of_kernel, len(part.terms)))
            others = plan.terms if part is None else part.others
            of_others = _saved(saved, len(others))
            if result is None:
                continue
            dy = channels_last(result)
            if terms is not None and part is not None:
                total = terms.backward(part, gradients, dy, kept, call.normed[number]).to(dy.dtype)
            else:
                total = dy.sum((0, 1, 2))
            _backward(zip(others, of_others, strict=True), TorchBackward(gradients, dy, total))
        return None, None, gradients.mixing, None, *gradients.images, *gradients.parameters


@dataclass
class _Call:
    """A call in the backward pass: what it read and kept, and its sums that were computed again, by their numbers."""

    operands: Operands
    terms: KernelTerms | None
    normed: list[Tensor | None]
    filtered: list[Tensor | None]
    of_torch: list[Tensor | None]
    tensors: Sequence[Tensor | None]
    versions: list[int]
    again: dict[int, Tensor] = field(default_factory=dict)

    def sum_again(self, number: int) -> Tensor:
        """A sum (n, h', w', c') as the forward pass made it, to the byte."""
        if number not in self.again:
            assert self.terms is not None
            total = Accumulator(self.operands)
            self.terms.forward(self.terms.layout.parts[number], total, False)
            self.again[number] = total.finish()
        return self.again[number]

    def is_stale(self) -> bool:
        """Whether a tensor was written to since: autograd refuses those where it is asked again."""
        return _versions(self.tensors) != self.versions


def _versions(tensors: Sequence[Tensor | None]) -> list[int]:
    return [0 if tensor is None else tensor._version for tensor in tensors]


def _origin(x: Tensor) -> tuple[Any, int] | None:
    """The call that can compute a source again, and the number of its sum; None where the source has to be held."""
    ctx: Any = x.grad_fn if isinstance(x.grad_fn, _WeightedSums._backward_cls) else None
    return None if ctx is None or not ctx.again[x.output_nr] else (ctx, x.output_nr)


def _call_of(ctx: Any) -> _Call:
    """The tensors that a call held; they can be taken once: by its own backward pass, or by a reader's before it."""
    if ctx.call is None or ctx.call.is_stale():
        held_tensors = ctx.saved_tensors
        mixing, moments, *rest = held_tensors
        saved = iter(rest)
        normed = list(islice(saved, len(ctx.plans)))
        held, parameters, filtered = (list(islice(saved, size)) for size in ctx.sizes)
        origins = zip(held, ctx.origins, strict=True)
        sources = [x if made is None else _call_of(made[0]).sum_again(made[1]) for x, made in origins]
        operands = Operands(ctx.modules, mixing, sources, parameters, ctx.batch, ctx.uses_kernel)
        terms = KernelTerms(operands, ctx.plans, moments) if operands.uses_kernel else None
        ctx.call = _Call(operands, terms, normed, filtered, list(saved), held_tensors, _versions(held_tensors))
    call: _Call = ctx.call
    return call


def _saved(tensors: Iterator[Tensor | None], count: int) -> list[SavedTerm]:
    """The saved tensors of so many terms."""
    return [SavedTerm(*islice(tensors, SLOTS)) for _ in range(count)]


def _forward(term: TermPlan, total: Accumulator, keep: bool) -> SavedTerm:
    """Add a term to a sum by torch; what its gradient needs."""
    if term.columns is None:
        return TorchForward(total, keep).run(term)
    apart = Accumulator(total.operands)
    apart.statistics = total.statistics
    saved = TorchForward(apart, keep).run(term)
    total.place(apart.finish(), term.columns)
    return saved


def _backward(terms: Iterator[tuple[TermPlan, SavedTerm]], by_torch: TorchBackward) -> None:
    """Set all gradients of terms by torch."""
    for term, saved in terms:
        if term.columns is None:
            by_torch.run(term, saved)
            continue
        place = slice(term.columns.first, term.columns.first + term.columns.count)
        dy = by_torch.dy[..., place].contiguous()
        TorchBackward(by_torch.gradients, dy, by_torch.total[place]).run(term, saved)
