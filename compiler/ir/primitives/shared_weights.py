"""Learned matrices as tensors, so that several operations share one: what reads the same matrix shares its weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape

from .base import Operator, Saved
from .parameters import Whole
from .torch_form import Argument, Expression, Tightness, TorchCall, TorchModule, channels

MATRIX = (1, 1, 1)
"""The last extents of a matrix: of rank 5, so that nothing but what multiplies by it takes it for data."""


@dataclass(frozen=True, kw_only=True)
class WeightMatrix(Operator):
    """A learned matrix (c, width, 1, 1, 1), the same for every input and every position."""

    name: ClassVar[str] = "weight_matrix"
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    stepwise: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    c: Annotated[int, Whole("the number of rows")]
    width: Annotated[int, Whole("the length of a row")]

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, self.width, *MATRIX

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return self.c * self.width

    def memory(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 0

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("WeightMatrix", (channels("c", output[0]), Argument("width", output[1])))


class ReadsMatrix(Operator):
    """An operation whose second input is a matrix; no dataclass itself, like `.pooling.Pool`."""

    arity: ClassVar[int | None] = 2
    any_width: ClassVar[bool] = False
    stepwise: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if len(inputs) > 1 and (len(inputs[1].dims) != 2 + len(MATRIX) or inputs[1].dims[2:] != MATRIX):
            return f"reads a `weight_matrix`, not a tensor of shape {inputs[1]}"
        return super().refusal(inputs, output)


@dataclass(frozen=True, kw_only=True)
class Project(ReadsMatrix):
    """The channels of every position, multiplied by a matrix: a linear layer without a bias."""

    name: ClassVar[str] = "project"
    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    absorbs_zero: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("projected")

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        found = super().refusal(inputs, output)
        if found is None and len(inputs) > 1 and inputs[0].c != inputs[1].dims[1]:
            return f"multiplies {inputs[0].c} channels by a matrix for {inputs[1].dims[1]}"
        return found

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[1].c, *inputs[0].space

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0] * math.prod(inputs[0])

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        template = "{0} @ {1}[0].flatten(1).mT" if len(inputs[0]) == 1 else "{1}[0].flatten(1) @ {0}"
        return Expression(template, (), Tightness.PRODUCT, needs=(Tightness.ATOM, Tightness.ATOM))


@dataclass(frozen=True, kw_only=True)
class LookUp(ReadsMatrix):
    """The row of a matrix for each token: (n) numbers below its rows to (c, n). It multiplies nothing."""

    name: ClassVar[str] = "look_up"
    ranks: ClassVar[tuple[int, ...]] = (1,)
    stepwise: ClassVar[bool] = False
    torch_call: ClassVar[TorchCall | None] = TorchCall("looked_up")

    c: Annotated[int, Whole("the length of a row")]
    tokens: Annotated[int, Whole("the number of different tokens")]

    @property
    def vocabulary(self) -> int:
        return self.tokens

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        found = super().refusal(inputs, output)
        if found is None and len(inputs) > 1 and (self.tokens, self.c) != inputs[1].dims[:2]:
            return f"reads {self.c} channels for each of {self.tokens} tokens, of a matrix of shape {inputs[1]}"
        return found

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, inputs[0].c

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("F.embedding({0}, {1}[0].flatten(1)).mT", needs=(Tightness.SUM, Tightness.ATOM))


@dataclass(frozen=True, kw_only=True)
class AddBias(Operator):
    """Its input, and a learned number for each channel."""

    name: ClassVar[str] = "add_bias"
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    pure: ClassVar[bool] = False
    stepwise: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("AddBias", (channels("c", output[0]),))
