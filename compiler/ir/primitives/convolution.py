"""Convolutions and linear layers: what multiplies channels by weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import Open, Var, lift

from . import roles
from .base import Operator, widest
from .parameters import Channels, Dilation, Flag, Groups, KernelSize, Padding, Stride, Whole
from .torch_form import Argument, Role, TorchModule, channels

Bias = Annotated[bool, Flag()]


def windows(extent: Extent, k: int, stride: int, pad: int, dilation: int = 1) -> Extent:
    """How many windows of ``k`` pixels fit on an extent: the output of a convolution or a pool."""
    size: Extent = lift(lambda pixels: (pixels + 2 * pad - dilation * (k - 1) - 1) // stride + 1, extent)
    return size


def grouping_refusal(width: Extent, c: Extent, groups: Extent) -> str | None:
    """Why a convolution cannot go from ``width`` to ``c`` channels in groups, as far as the numbers are decided."""
    if any(isinstance(number, Var | Open) for number in (width, c, groups)):
        return None
    if widest(width) % widest(groups) or widest(c) % widest(groups):
        return f"cannot split {width} channels into {c} with {groups} groups"
    return None


def split_refusal(width: Extent, groups: int) -> str | None:
    """Why ``width`` channels cannot be split into groups, where the width is decided."""
    uneven = isinstance(width, int) and width % groups
    return f"cannot split {width} channels into {groups} groups" if uneven else None


@dataclass(frozen=True, kw_only=True)
class Conv(Operator):
    """A convolution, its kernel as wide along each dimension: of series, images or volumes (`nn.Conv1d` to `3d`)."""

    name: ClassVar[str] = "conv"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    unremarkable: ClassVar[bool] = True

    k: KernelSize
    c: Channels
    stride: Stride = 1
    dilation: Dilation = 1
    groups: Groups = 1
    bias: Bias = False
    pad: Padding

    @property
    def kernel(self) -> int:
        return self.k

    @property
    def role(self) -> roles.Pointwise | roles.Window | None:
        if self.bias:
            return None
        if self.k == 1:
            return roles.Pointwise(self.stride) if self.groups == 1 and self.pad == 0 else None
        if self.groups != self.c:
            return None
        return roles.Window(roles.Reduction.WEIGHTS, self.k, self.stride, self.pad, self.dilation, self.c)

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        return super().refusal(inputs, output) or grouping_refusal(inputs[0].c, self.c, self.groups)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *(windows(size, self.k, self.stride, self.pad, self.dilation) for size in inputs[0].space)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        weights = output[0] * (inputs[0][0] // widest(self.groups)) * int(self.k ** len(output[1:]))
        return weights + (output[0] if self.bias else 0)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(output) * (inputs[0][0] // widest(self.groups)) * int(self.k ** len(output[1:]))

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(
            f"nn.Conv{len(output) - 1}d",
            (
                channels("in_channels", inputs[0][0], read=True),
                channels("out_channels", output[0]),
                Argument("kernel_size", self.k, Role.KERNEL, positional=True, short="k"),
                Argument("stride", self.stride, default=1),
                Argument("padding", self.pad, Role.PADDING, default=0, short="pad"),
                Argument("dilation", self.dilation, default=1),
                Argument("groups", widest(self.groups), Role.GROUPS, default=1),
                Argument("bias", self.bias, default=True),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class RectConv(Operator):
    """A convolution whose kernel, stride and padding differ between height and width; half a kernel is padded."""

    name: ClassVar[str] = "rect_conv"
    ranks: ClassVar[tuple[int, ...]] = (3,)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    kh: Annotated[int, Whole("the height of the kernel")]
    kw: Annotated[int, Whole("the width of the kernel")]
    c: Channels
    sh: Annotated[int, Whole("the vertical stride")] = 1
    sw: Annotated[int, Whole("the horizontal stride")] = 1
    groups: Groups = 1
    bias: Bias = False

    @property
    def padding(self) -> tuple[int, int]:
        """The rows and columns that are padded at each side."""
        return (self.kh - 1) // 2, (self.kw - 1) // 2

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        return super().refusal(inputs, output) or grouping_refusal(inputs[0].c, self.c, self.groups)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        (h, w), (rows, columns) = inputs[0].space, self.padding
        return self.c, windows(h, self.kh, self.sh, rows), windows(w, self.kw, self.sw, columns)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        weights = output[0] * (inputs[0][0] // widest(self.groups)) * self.kh * self.kw
        return weights + (output[0] if self.bias else 0)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(output) * (inputs[0][0] // widest(self.groups)) * self.kh * self.kw

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(
            "nn.Conv2d",
            (
                channels("in_channels", inputs[0][0], read=True),
                channels("out_channels", output[0]),
                Argument("kernel_size", (self.kh, self.kw), Role.KERNEL, positional=True, short="k"),
                Argument("stride", (self.sh, self.sw), default=(1, 1)),
                Argument("padding", self.padding, Role.PADDING, default=(0, 0), short="pad"),
                Argument("groups", widest(self.groups), Role.GROUPS, default=1),
                Argument("bias", self.bias, default=True),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Operator):
    """A transposed convolution: every position becomes a window of ``k``, ``stride`` apart, and windows add up.

    Of series, images or volumes (`torch.nn.ConvTranspose1d` to `ConvTranspose3d`; Zeiler et al., CVPR 2010). The
    multiply-adds are those of every number read with the filter of every output channel, the cropped ones included.
    """

    name: ClassVar[str] = "conv_transpose"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    k: KernelSize
    c: Channels
    stride: Stride = 1
    bias: Bias = False
    pad: Padding

    @property
    def kernel(self) -> int:
        return self.k

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        cropped = self.k - 2 * self.pad
        return self.c, *(lift(lambda size: (size - 1) * self.stride + cropped, size) for size in inputs[0].space)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0] * inputs[0][0] * int(self.k ** len(output[1:])) + (output[0] if self.bias else 0)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(inputs[0]) * output[0] * int(self.k ** len(output[1:]))

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(
            f"nn.ConvTranspose{len(output) - 1}d",
            (
                channels("in_channels", inputs[0][0], read=True),
                channels("out_channels", output[0]),
                Argument("kernel_size", self.k, Role.KERNEL, positional=True, short="k"),
                Argument("stride", self.stride, default=1),
                Argument("padding", self.pad, Role.PADDING, default=0, short="pad"),
                Argument("bias", self.bias, default=True),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Linear(Operator):
    """A matrix on the channels: of a vector, or of every token."""

    name: ClassVar[str] = "linear"
    stepwise: ClassVar[bool] = True
    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    c: Channels
    bias: Bias = True

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *inputs[0].space

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0] * (inputs[0][0] + self.bias)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0] * math.prod(inputs[0])

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(
            "nn.Linear" if len(inputs[0]) == 1 else "TokenLinear",
            (
                channels("in_features", inputs[0][0], read=True),
                channels("out_features", output[0]),
                Argument("bias", self.bias, default=True),
            ),
        )
