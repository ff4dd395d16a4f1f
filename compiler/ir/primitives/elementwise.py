"""Arithmetic of tensors, element by element, without parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Ints, Shape

from .base import Operator, Saved
from .parameters import Share
from .torch_form import Argument, Expression, Tightness, TorchCall, TorchModule


@dataclass(frozen=True, kw_only=True)
class Lerp(Operator):
    """``x + weight * (y - x)`` of the inputs x, y and weight."""

    name: ClassVar[str] = "lerp"
    arity: ClassVar[int | None] = 3
    preserves_zero: ClassVar[bool] = True
    stepwise: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("torch.lerp")

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if len(set(inputs)) > 1:
            return f"takes three tensors of one shape, not {', '.join(map(str, inputs))}"
        return super().refusal(inputs, output)

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("torch.lerp({0}, {1}, {2})")


@dataclass(frozen=True, kw_only=True)
class Scaled(Operator):
    """Its input times a number below 1, such as 1/8 for the mean of eight."""

    name: ClassVar[str] = "scaled"
    preserves_zero: ClassVar[bool] = True
    stepwise: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    by: Annotated[float, Share("what it multiplies by")]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Scaled", (Argument("by", self.by),))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        numbers = (Argument("by", self.by),)
        return Expression("{0} * {by}", numbers, Tightness.PRODUCT, needs=(Tightness.PRODUCT,))
