"""Pools, and what else changes the resolution of an image without weights."""

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
    """A square pool. It is no record itself: that keeps the parameters of pools in the order of their signatures."""

    ranks: ClassVar[tuple[int, ...]] = (3,)
    preserves_zero: ClassVar[bool] = True

    function: ClassVar[str]
    """Its function in `torch.nn.functional`."""

    k: int
    stride: int
    pad: int

    @property
    def kernel(self) -> int:
        return self.k

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if self.pad > self.k // 2:
            return f"pads by {self.pad}, which is more than half of its {self.k}x{self.k} window"
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
            f"F.{self.function}({{0}}, {{kernel_size}}, stride={{stride}}{padding}{more})", tuple(numbers)
        )

    def _module(self, kind: str) -> TorchModule:
        return TorchModule(
            kind,
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
    function: ClassVar[str] = "max_pool2d"
    saves_indices: ClassVar[int] = 8  # torch keeps indices of 64 bits

    k: KernelSize
    stride: Stride = 1
    pad: Padding

    @property
    def role(self) -> roles.Window:
        return roles.Window(roles.Reduction.MAX, self.k, self.stride, self.pad)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return self._module("nn.MaxPool2d")


@dataclass(frozen=True, kw_only=True)
class AvgPool(Pool):
    """The mean of each window, with or without the padding."""

    name: ClassVar[str] = "avg_pool"
    function: ClassVar[str] = "avg_pool2d"

    k: KernelSize
    stride: Stride = 1
    count_pad: Annotated[bool, Flag()] = True
    pad: Padding

    @property
    def role(self) -> roles.Window:
        mean = roles.Reduction.MEAN_COUNTING_PADDING if self.count_pad else roles.Reduction.MEAN
        return roles.Window(mean, self.k, self.stride, self.pad)

    @property
    def options(self) -> tuple[Argument, ...]:
        return (Argument("count_include_pad", self.count_pad or self.pad == 0, default=True),)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return self._module("nn.AvgPool2d")


@dataclass(frozen=True, kw_only=True)
class GlobalPool(Operator):
    """The mean over all positions: a vector."""

    name: ClassVar[str] = "global_pool"
    ranks: ClassVar[tuple[int, ...]] = (2, 3)
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
        dims = "(2, 3)" if len(inputs[0]) == 3 else "2"
        return Expression(f"{{0}}.mean({dims})", needs=(Tightness.ATOM,))


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
