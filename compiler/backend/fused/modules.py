"""The torch modules that sums of terms become. They hold no parameters: those stay where they were."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from compiler.backend.torch_modules.running_statistics import ColumnsOfNorm

from .algebra import weighted_sums
from .operands import ParameterModule, parameters_of
from .plan import SumPlan, TermPlan, WeightPlan


class WeightedSums(nn.Module):
    """Sums of the terms of plans, of the same sources.

    It is called with the joint weights of the decisions that its weights are made of, a vector for each group of
    decisions, the distinct sources (n, c, h, w), and the modules of its parts in order; the result is a tuple of
    tensors (n, c', h', w').

    Args:
        plans: the sums.
        weights: for each term with a weight, what it is the product of.
    """

    places: Tensor
    ends: Tensor

    def __init__(self, plans: Sequence[SumPlan], weights: WeightPlan) -> None:
        super().__init__()
        self.plans, self.weights = tuple(plans), weights
        self.register_buffer("places", _rectangle(weights), persistent=False)
        self.register_buffer("ends", torch.tensor([0, 1]), persistent=False)

    def mixing(self, vectors: Sequence[Tensor]) -> Tensor | None:
        """The weights of the terms that have one, (terms); None where none has."""
        if not self.weights:
            return None
        every = torch.cat([*vectors, self.ends.to(vectors[0].dtype)])  # what a GPU has already, it need not wait for
        product, *others = every[self.places].sum(2).unbind(1)
        for factor in others:
            product = product * factor
        return product

    def sums(
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> tuple[Tensor, ...]:
        """The sums; arguments as those of a call."""
        mixing = self.mixing(vectors)
        if mixing is not None:
            mixing = mixing.to(sources[0].dtype)  # weights may be given in another precision
        modules = modules_of(self.plans, parts)
        parameters = parameters_of(modules)
        if is_plain_torch(sources, parameters):
            return tuple(operation_by_operation(plan, modules, mixing, sources) for plan in self.plans)
        return weighted_sums(self.plans, modules, mixing, sources, parameters)

    def forward(
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> tuple[Tensor, ...]:
        """The sums of the weighted terms."""
        return self.sums(vectors, sources, parts)

    def extra_repr(self) -> str:
        """How many terms there are."""
        return ", ".join(f"{len(plan.terms)} terms" for plan in self.plans)


class WeightedSum(WeightedSums):
    """The sum of the terms of one plan; the result is a tensor."""

    def forward(  # type: ignore[override]
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> Tensor:
        """The sums of the weighted terms."""
        (result,) = self.sums(vectors, sources, parts)
        return result


def _rectangle(weights: WeightPlan) -> Tensor:
    """The positions of weights as (terms, factors, summands): what is missing is position -2, a 0, or -1, a 1."""
    factors = max((len(term) for term in weights), default=0)
    summands = max((len(factor) for term in weights for factor in term), default=0)

    def filled(places: Sequence[int]) -> list[int]:
        return [*places, *[-2] * (summands - len(places))]

    return torch.tensor(
        [[filled(factor) for factor in (*term, *[(-1,)] * (factors - len(term)))] for term in weights], dtype=torch.long
    )


def modules_of(plans: Sequence[SumPlan], parts: Sequence[nn.Module]) -> Sequence[ParameterModule]:
    """The modules of the parts; of the norm of a term of some channels, those channels."""
    found: list[ParameterModule] | None = None
    for term in (term for plan in plans for term in plan.terms if term.columns is not None):
        found = list(parts) if found is None else found
        for norm in term.tied if term.norm is None else (term.norm, *term.tied):
            module = parts[norm]
            assert isinstance(module, nn.BatchNorm2d)
            assert term.columns is not None
            found[norm] = ColumnsOfNorm(module, term.columns)
    return parts if found is None else found


def is_plain_torch(sources: Sequence[Tensor], parameters: Sequence[Tensor | None]) -> bool:
    """Whether torch has to see every operation: to cast or compile them, or to report tensors that do not fit."""
    x, dtype, device = sources[0], sources[0].dtype, sources[0].device
    return (
        any(p is not None and (p.dtype != dtype or p.device != device) for p in (*sources, *parameters))
        or x.device.type == "meta"
        or torch.is_autocast_enabled(x.device.type)
        or x.dtype not in (torch.float32, torch.float64)
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
    )


def operation_by_operation(
    plan: SumPlan, parts: Sequence[ParameterModule], mixing: Tensor | None, sources: Sequence[Tensor]
) -> Tensor:
    """The same sum, (n, c', h', w'), by the modules of its parts one after the other: what the algebra has to equal."""
    total: Tensor | None = None
    for term in plan.terms:
        value = _value(term, parts, sources[term.source])
        if term.weight is not None:
            assert mixing is not None
            value = mixing[term.weight] * value
        if term.columns is not None:
            after = term.columns.width - term.columns.first - term.columns.count
            value = functional.pad(value, (0, 0, 0, 0, term.columns.first, after))
        total = value if total is None else total + value
    assert total is not None
    return total


def _value(term: TermPlan, parts: Sequence[ParameterModule], x: Tensor) -> Tensor:
    if term.before is not None:
        x = parts[term.before](x)
    if term.relu:
        x = x.relu()
    for part in (term.filter, term.projection):
        if part is not None:
            x = parts[part](x)
    with torch.no_grad():
        for part in term.tied:
            parts[part](x)
    return x if term.norm is None else parts[term.norm](x)
