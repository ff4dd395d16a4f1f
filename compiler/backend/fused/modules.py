"""The torch modules that sums of terms become. They hold no parameters: those stay where they were."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from compiler.backend.torch_modules.running_statistics import ColumnsOfNorm

from .algebra import weighted_sums
from .operands import Holder, parameters_of
from .program import Program, Step, WeightPlan


class WeightedSums(nn.Module):
    """Sums of the terms of programs, of the same sources.

    It is called with the joint weights of the decisions that its plan counts on, the distinct sources (n, c, h, w), and
    the modules of its parts in order; the result is a tuple.
    """

    places: Tensor

    def __init__(self, programs: Sequence[Program], plan: WeightPlan) -> None:
        super().__init__()
        self.programs, self.plan = tuple(programs), plan
        self.is_simple = all(len(factors) == 1 and len(factors[0]) == 1 for factors in plan)
        places = [place for factors in plan for factor in factors for place in factor]
        self.register_buffer("places", torch.tensor(places, dtype=torch.long), persistent=False)

    def mixing(self, vectors: Sequence[Tensor]) -> Tensor | None:
        """The weights of the terms that have one."""
        if not self.plan:
            return None
        every = torch.cat(list(vectors))
        if self.is_simple:
            return every[self.places]
        weights = []
        for factors in self.plan:
            product = every[list(factors[0])].sum()
            for factor in factors[1:]:
                product = product * every[list(factor)].sum()
            weights.append(product)
        return torch.stack(weights)

    def sums(
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> tuple[Tensor, ...]:
        mixing = self.mixing(vectors)
        if mixing is not None:
            mixing = mixing.to(sources[0].dtype)  # weights may be given in another precision
        holders = holders_of(self.programs, parts)
        parameters = parameters_of(holders)
        if is_plain_torch(sources, parameters):
            return tuple(operation_by_operation(program, holders, mixing, sources) for program in self.programs)
        return weighted_sums(self.programs, holders, mixing, sources, parameters)

    def forward(
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> tuple[Tensor, ...]:
        return self.sums(vectors, sources, parts)

    def extra_repr(self) -> str:
        return ", ".join(f"{len(program.steps)} terms" for program in self.programs)


class WeightedSum(WeightedSums):
    """The sum of the terms of one program; the result is a tensor."""

    def forward(  # type: ignore[override]
        self, vectors: Sequence[Tensor], sources: Sequence[Tensor], parts: Sequence[nn.Module]
    ) -> Tensor:
        (result,) = self.sums(vectors, sources, parts)
        return result


def holders_of(programs: Sequence[Program], parts: Sequence[nn.Module]) -> Sequence[Holder]:
    """The modules of the parts; of the norm of a term of some channels, those channels."""
    found: list[Holder] | None = None
    for step in (step for program in programs for step in program.steps if step.columns is not None):
        found = list(parts) if found is None else found
        for norm in step.tied if step.norm is None else (step.norm, *step.tied):
            module = parts[norm]
            assert isinstance(module, nn.BatchNorm2d)
            assert step.columns is not None
            found[norm] = ColumnsOfNorm(module, step.columns)
    return parts if found is None else found


def is_plain_torch(sources: Sequence[Tensor], parameters: Sequence[Tensor | None]) -> bool:
    """Whether torch has to see every operation: it casts them, compiles them, or says what does not fit together."""
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
    program: Program, parts: Sequence[Holder], mixing: Tensor | None, sources: Sequence[Tensor]
) -> Tensor:
    """The same sum by the modules of its parts, one after the other: what the algebra has to equal."""
    total: Tensor | None = None
    for step in program.steps:
        value = _value(step, parts, sources[step.source])
        if step.weight is not None:
            assert mixing is not None
            value = mixing[step.weight] * value
        if step.columns is not None:
            after = step.columns.width - step.columns.first - step.columns.count
            value = functional.pad(value, (0, 0, 0, 0, step.columns.first, after))
        total = value if total is None else total + value
    assert total is not None
    return total


def _value(step: Step, parts: Sequence[Holder], x: Tensor) -> Tensor:
    if step.before is not None:
        x = parts[step.before](x)
    if step.relu:
        x = x.relu()
    for part in (step.filter, step.projection):
        if part is not None:
            x = parts[part](x)
    with torch.no_grad():
        for part in step.tied:
            parts[part](x)
    return x if step.norm is None else parts[step.norm](x)
