"""Pools and other operators that change the resolution of an image without weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import lift

from . import roles
from .base import Operator, Saved
from .convolution import windows
from .parameters import Flag, KernelSize, Padding, Stride, Whole
from .torch_form import Argument, Expression, Role, Tightness, TorchModule


class Pool(Operator):
    """A pool with the same window along each dimension: of series, images or volumes.

    It is not a dataclass itself, so that each pool declares its parameters in the order of its signature.
    """

    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    preserves_zero: ClassVar[bool] = True

    function: ClassVar[str]
    """Its function in `torch.nn.functional`, without the number of dimensions."""
    module: ClassVar[str]
    """Its module in `torch.nn`, without the number of dimensions."""

    k: int
    stride: int
    pad: int

    @property
    def kernel(self) -> int:
        return self.k

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if self.pad > self.k // 2:
            window = "x".join([str(self.k)] * len(inputs[0].space))
            return f"pads by {self.pad}, which is more than half of its {window} window"
        return super().refusal(inputs, output)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, *(windows(size, self.k, self.stride, self.pad) for size in inputs[0].space)

    @property
    def options(self) -> tuple[Argument, ...]:
        """Arguments beyond kernel, stride and padding."""
        return ()

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        numbers = [
            Argument("kernel_size", self.k, Role.KERNEL, short="k"),
            Argument("stride", self.stride),
        ]
        padding = ""
        if self.pad:
            numbers.append(Argument("padding", self.pad, Role.PADDING, short="pad"))
            padding = ", padding={padding}"
        more = "".join(f", {item.name}={item.value}" for item in self.options if item.value != item.default)
        return Expression(
            f"F.{self.function}{len(output) - 1}d({{0}}, {{kernel_size}}, stride={{stride}}{padding}{more})",
            tuple(numbers),
        )

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(
            f"nn.{self.module}{len(output) - 1}d",
            (
                Argument("kernel_size", self.k, Role.KERNEL, positional=True, short="k"),
                Argument("stride", self.stride),
                Argument("padding", self.pad, Role.PADDING, default=0, short="pad"),
                *self.options,
            ),
        )


@dataclass(frozen=True, kw_only=True)
class MaxPool(Pool):
    """The largest pixel of each window; the padding is smaller than any."""

    name: ClassVar[str] = "max_pool"
    function: ClassVar[str] = "max_pool"
    module: ClassVar[str] = "MaxPool"
    saves_indices: ClassVar[int] = 8  # torch keeps indices of 64 bits

    k: KernelSize
    stride: Stride = 1
    pad: Padding

    @property
    def role(self) -> roles.Window:
        return roles.Window(roles.Reduction.MAX, self.k, self.stride, self.pad)


@dataclass(frozen=True, kw_only=True)
class AvgPool(Pool):
    """The mean of each window, with or without the padding."""

    name: ClassVar[str] = "avg_pool"
    function: ClassVar[str] = "avg_pool"
    module: ClassVar[str] = "AvgPool"

    k: KernelSize
    stride: Stride = 1
    count_pad: Annotated[bool, Flag()] = True
    pad: Padding

    @property
    def role(self) -> roles.Window:
        mean = roles.Reduction.MEAN_COUNTING_PADDING if self.count_pad else roles.Reduction.MEAN
        return roles.Window(mean, self.k, self.stride, self.pad)

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        space = inputs[0].space
        if len(space) == 3 and any(isinstance(size, int) and size < self.k for size in space):
            return f"of a volume needs at least {self.k} positions along each dimension in torch, not {inputs[0]}"
        return super().refusal(inputs, output)

    @property
    def options(self) -> tuple[Argument, ...]:
        return (Argument("count_include_pad", self.count_pad or self.pad == 0, default=True),)


@dataclass(frozen=True, kw_only=True)
class GlobalPool(Operator):
    """The mean over all positions: a vector."""

    name: ClassVar[str] = "global_pool"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return (inputs[0].c,)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("GlobalPool")

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> tuple[TorchModule, ...]:
        pool = TorchModule(f"nn.AdaptiveAvgPool{len(inputs[0]) - 1}d", (Argument("output_size", 1, positional=True),))
        return pool, TorchModule("nn.Flatten")

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression(f"{{0}}.mean({_positions(inputs[0])})", needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class GlobalMaxPool(Operator):
    """The largest of all positions: a vector. Equal ones share the gradient."""

    name: ClassVar[str] = "global_max_pool"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    preserves_zero: ClassVar[bool] = True

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return (inputs[0].c,)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("GlobalMaxPool")

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression(f"{{0}}.amax({_positions(inputs[0])})", needs=(Tightness.ATOM,))


def _positions(shape: Ints) -> str:
    """The dimensions of a batch's positions, as an argument: ``2`` of tokens, ``(2, 3)`` of images."""
    dims = tuple(range(2, len(shape) + 1))
    return str(dims[0] if len(dims) == 1 else dims)


@dataclass(frozen=True, kw_only=True)
class AdaptivePool(Operator):
    """The means of ``size`` windows along each dimension, which cover it (`torch.nn.AdaptiveAvgPool1d` to `3d`)."""

    name: ClassVar[str] = "adaptive_pool"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    preserves_zero: ClassVar[bool] = True

    size: Annotated[int, Whole("the number of windows")]

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, *(self.size for _ in inputs[0].space)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        whole = [extent // self.size for extent in inputs[0][1:] if extent % self.size == 0]
        if len(whole) == len(inputs[0]) - 1 and len(set(whole)) == 1:  # equal windows, which every export has
            k = Argument("kernel_size", whole[0], Role.KERNEL, positional=True, short="k")
            return TorchModule(f"nn.AvgPool{len(output) - 1}d", (k,))
        size = Argument("output_size", self.size, positional=True, short="size")
        return TorchModule(f"nn.AdaptiveAvgPool{len(output) - 1}d", (size,))


@dataclass(frozen=True, kw_only=True)
class Crop(Operator):
    """The image without its first rows and columns."""

    name: ClassVar[str] = "crop"
    ranks: ClassVar[tuple[int, ...]] = (3,)
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    top: Annotated[int, Whole("the number of rows left out", least=0)] = 0
    left: Annotated[int, Whole("the number of columns left out", least=0)] = 0

    @property
    def role(self) -> roles.Corner:
        return roles.Corner(self.top, self.left)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        h, w = inputs[0].space
        return inputs[0].c, lift(lambda size: size - self.top, h), lift(lambda size: size - self.left, w)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Crop", (Argument("top", self.top), Argument("left", self.left)))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        numbers = Argument("top", self.top), Argument("left", self.left)
        return Expression("{0}[:, :, {top:start}, {left:start}]", numbers, needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class Resize(Operator):
    """Bilinear interpolation to a resolution, corners not aligned."""

    name: ClassVar[str] = "resize"
    ranks: ClassVar[tuple[int, ...]] = (3,)
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    h: Annotated[int, Whole("the height")]
    w: Annotated[int, Whole("the width")]

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, self.h, self.w

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Resize", (Argument("h", output[1]), Argument("w", output[2])))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        numbers = Argument("h", output[1]), Argument("w", output[2])
        return Expression('F.interpolate({0}, ({h}, {w}), mode="bilinear", align_corners=False)', numbers)


@dataclass(frozen=True, kw_only=True)
class Upsample(Operator):
    """``scale`` times as many positions along each dimension: each repeated, or interpolated where it is ``smooth``.

    Linear in a series, bilinear in an image, trilinear in a volume; corners are not aligned.
    """

    name: ClassVar[str] = "upsample"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    scale: Annotated[int, Whole("the scale")] = 2
    smooth: Annotated[bool, Flag()] = False

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, *(lift(lambda size: size * self.scale, size) for size in inputs[0].space)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Upsample", (Argument("scale", self.scale), Argument("smooth", self.smooth)))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        mode = ("linear", "bilinear", "trilinear")[len(output) - 2] if self.smooth else "nearest"
        template = f'F.interpolate({{0}}, scale_factor={{scale}}, mode="{mode}")'
        return Expression(template, (Argument("scale", self.scale),))
