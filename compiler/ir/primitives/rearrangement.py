"""Operators that make tokens of images and images of tokens, order dimensions anew, and multiply matrices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import lift

from .base import Operator, Saved
from .convolution import windows
from .parameters import Flag, KernelSize, Padding, Stride, Whole
from .torch_form import Argument, Expression, Role, Tightness, TorchModule


@dataclass(frozen=True, kw_only=True)
class Unfold(Operator):
    """The k x k windows of an image as tokens, each with all its numbers (im2col): a convolution is this and a linear.

    The channels of a token are those of the image one after the other, of each its window row by row.
    """

    name: ClassVar[str] = "unfold"
    ranks: ClassVar[tuple[int, ...]] = (3,)
    any_width: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    k: KernelSize
    stride: Stride = 1
    pad: Padding

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        sides = [windows(size, self.k, self.stride, self.pad) for size in inputs[0].space]
        return lift(lambda c: c * self.k**2, inputs[0].c), lift(lambda h, w: h * w, *sides)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("nn.Unfold", self._numbers())

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        numbers = self._numbers()
        further = "".join(f", {n.name}={{{n.name}}}" for n in numbers[1:] if n.value != n.default)
        return Expression(f"F.unfold({{0}}, {{kernel_size}}{further})", numbers)

    def _numbers(self) -> tuple[Argument, ...]:
        return (
            Argument("kernel_size", self.k, Role.KERNEL, positional=True, short="k"),
            Argument("padding", self.pad, Role.PADDING, default=0, short="pad"),
            Argument("stride", self.stride, default=1),
        )


@dataclass(frozen=True, kw_only=True)
class Unflatten(Operator):
    """Tokens as the positions of an image of h rows and w columns, row by row (col2im of windows that are pixels)."""

    name: ClassVar[str] = "unflatten"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    h: Annotated[int, Whole("the rows")]
    w: Annotated[int, Whole("the columns")]

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        tokens = inputs[0].dims[-1]
        if tokens != self.h * self.w:
            return f"cannot make {self.h} x {self.w} positions of {tokens} tokens"
        return super().refusal(inputs, output)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, self.h, self.w

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Unflatten", self._numbers())

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("{0}.unflatten(2, ({h}, {w}))", self._numbers(), needs=(Tightness.ATOM,))

    def _numbers(self) -> tuple[Argument, Argument]:
        return Argument("h", self.h), Argument("w", self.w)


@dataclass(frozen=True, kw_only=True)
class Permute(Operator):
    """The dimensions in another order, channels the first: ``permute(2, 1)`` of tokens, ``permute(3, 1, 2)`` of images.

    Each number is the dimension of the input that stands there.
    """

    name: ClassVar[str] = "permute"
    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    any_width: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    i: Annotated[int, Whole("a dimension")]
    j: Annotated[int, Whole("a dimension")]
    k: Annotated[int, Whole("a dimension", least=0)] = 0

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        rank = len(inputs[0].dims)
        if rank in self.ranks and sorted(self._order) != [*range(1, rank + 1)]:
            order = ", ".join(map(str, self._order))
            return f"must name each of the {rank} dimensions of {inputs[0]} once, not ({order})"
        return super().refusal(inputs, output)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...] | None:
        dims = inputs[0].dims
        order = self._order
        return None if max(order) > len(dims) else tuple(dims[place - 1] for place in order)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Permute", (Argument("order", (0, *self._order)),))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        order = ", ".join(map(str, (0, *self._order)))
        return Expression(f"{{0}}.permute({order})", needs=(Tightness.ATOM,))

    @property
    def _order(self) -> Ints:
        return (self.i, self.j) if not self.k else (self.i, self.j, self.k)


@dataclass(frozen=True, kw_only=True)
class MatMul(Operator):
    """The product of two matrices [c, n], or of those of each channel of two images [c, h, w].

    ``scaled``, it is divided by the square root of the length of the sums (Vaswani et al., NeurIPS 2017).
    """

    name: ClassVar[str] = "matmul"
    arity: ClassVar[int | None] = 2
    ranks: ClassVar[tuple[int, ...]] = (2, 3)
    any_width: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True
    absorbs_zero: ClassVar[bool] = True

    scaled: Annotated[bool, Flag()] = False

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        x, y = (shape.dims for shape in inputs)
        fits = len(x) == len(y) and x[-1] == y[-2] and x[:-2] == y[:-2]
        return super().refusal(inputs, output) or (None if fits else f"cannot multiply {inputs[0]} by {inputs[1]}")

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...] | None:
        return *inputs[0].dims[:-1], inputs[1].dims[-1]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("MatMul", self._scale(inputs))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        scale = self._scale(inputs)
        template = "{0} @ {1}" + (" * {scale}" if scale else "")
        return Expression(template, scale, Tightness.PRODUCT, (Tightness.PRODUCT, Tightness.ATOM))

    def _scale(self, inputs: Sequence[Ints]) -> tuple[Argument, ...]:
        return (Argument("scale", 1 / sqrt(inputs[0][-1])),) if self.scaled else ()
