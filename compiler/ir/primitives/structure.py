"""Operators that move tensors about: identities, zeros, sums, concatenations, slices, and the order in memory."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import Open, lift

from .base import FLOAT32, Gather, Operator, Saved
from .convolution import split_refusal, windows
from .parameters import Channels, Stride, Whole
from .torch_form import Argument, Expression, Operands, Role, Tightness, TorchCall, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class Identity(Operator):
    """Its input."""

    name: ClassVar[str] = "identity"
    stepwise: ClassVar[bool] = True
    identity: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("nn.Identity")


class Strided(Operator):
    """A new tensor at the resolution of every ``stride``-th position; no dataclass itself, like `.pooling.Pool`."""

    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)

    stride: int

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, *(windows(size, 1, self.stride, 0) for size in inputs[0].space)

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class Zero(Strided):
    """Zeros."""

    name: ClassVar[str] = "zero"
    stepwise: ClassVar[bool] = True
    zero: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    c: Channels
    stride: Stride = 1

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *super().result(inputs)[1:]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Zero", (channels("c", output[0]), Argument("stride", self.stride)))

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        source = inputs[0]
        if output == source:
            return Expression("torch.zeros_like({0})")
        if output[0] == source[0]:
            for stride in range(2, max(source[1:]) + 1):
                if output[1:] == tuple((size - 1) // stride + 1 for size in source[1:]):
                    template = f"torch.zeros_like({{0}}[:, :{_steps(output)}])"
                    return Expression(template, (Argument("stride", stride),), needs=(Tightness.ATOM,))
        sizes = (Argument(name, size) for name, size in zip("dhw"[4 - len(output) :], output[1:], strict=True))
        numbers = (channels("c", output[0]), *sizes)
        template = f"{{0}}.new_zeros(len({{0}}), {', '.join(f'{{{number.name}}}' for number in numbers)})"
        return Expression(template, numbers, needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class Noise(Strided):
    """Standard normal noise instead of the input, new with every call (Zela et al., ICLR 2020)."""

    name: ClassVar[str] = "noise"
    pure: ClassVar[bool] = False
    random: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    stride: Stride = 1

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Noise", (Argument("shape", output),))

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        if self.stride == 1:
            return Expression("torch.randn_like({0})")
        template = f"torch.randn_like({{0}}[:, :{_steps(output)}])"
        return Expression(template, (Argument("stride", self.stride),), needs=(Tightness.ATOM,))


def _steps(shape: Ints) -> str:
    """Slices of every ``stride``-th position along each dimension beyond the channels."""
    return ", {stride:step}" * (len(shape) - 1)


@dataclass(frozen=True, kw_only=True)
class Add(Operator):
    """The sum of all inputs (``a + b``, ``sum``), one after the other."""

    name: ClassVar[str] = "add"
    stepwise: ClassVar[bool] = True
    arity: ClassVar[int | None] = None
    gather: ClassVar[Gather | None] = Gather.SUM
    commutative: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("operator.add", Operands.PAIRS)
    infix: ClassVar[str] = "+"
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        width = inputs[0].c if all(shape.c == inputs[0].c for shape in inputs) else None
        return width, *inputs[0].space

    def memory(self, inputs: Sequence[Ints], output: Ints) -> int:
        return FLOAT32 * math.prod(output) * (len(inputs) - 1)

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        needs = (Tightness.SUM, *(Tightness.PRODUCT,) * (len(inputs) - 1))
        return Expression(" + ".join(f"{{{n}}}" for n in range(len(inputs))), (), Tightness.SUM, needs)


@dataclass(frozen=True, kw_only=True)
class Concat(Operator):
    """All inputs, one behind the other along the channels."""

    name: ClassVar[str] = "concat"
    stepwise: ClassVar[bool] = True
    arity: ClassVar[int | None] = None
    gather: ClassVar[Gather | None] = Gather.CONCATENATION
    commutative: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("torch.cat", Operands.LIST, (1,))
    infix: ClassVar[str] = ","
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        widths = [shape.c for shape in inputs]
        known = None if any(isinstance(width, Open) for width in widths) else lift(lambda *each: sum(each), *widths)
        return known, *inputs[0].space

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression(f"torch.cat([{', '.join(f'{{{n}}}' for n in range(len(inputs)))}], dim=1)", listed=True)


@dataclass(frozen=True, kw_only=True)
class Mul(Operator):
    """``x * g``; a vector gates channel by channel."""

    name: ClassVar[str] = "mul"
    stepwise: ClassVar[bool] = True
    arity: ClassVar[int | None] = 2
    commutative: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("gate")
    infix: ClassVar[str] = "*"
    preserves_zero: ClassVar[bool] = True
    absorbs_zero: ClassVar[bool] = True

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        missing = len(inputs[0]) - len(inputs[1])
        needs = Tightness.PRODUCT, Tightness.ATOM
        gate = f"{{1}}[:, :{', None' * missing}]" if missing else "{1}"
        return Expression(f"{{0}} * {gate}", (), Tightness.PRODUCT, needs)


@dataclass(frozen=True, kw_only=True)
class Cut(Operator):
    """``c`` channels of a tensor, from ``start`` on.

    NAS-Bench-101 truncates what a wider vertex gives (Ying et al., ICML 2019); ShuffleNet V2 splits (Ma et al., 2018).
    """

    name: ClassVar[str] = "cut"
    stepwise: ClassVar[bool] = True
    slices_channels: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    c: Channels
    start: Annotated[int, Whole("the first channel", least=0)] = 0

    @property
    def first_channel(self) -> int | None:
        return self.start

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        width = inputs[0].c
        if isinstance(self.c, int) and isinstance(width, int) and self.start + self.c > width:
            return f"cannot take {self.c} channels from channel {self.start} on of {width}"
        return super().refusal(inputs, output)

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *inputs[0].space

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Cut", (channels("c", output[0]), Argument("start", self.start)))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        start, c = Argument("start", self.start), output[0]
        if not self.start:
            return Expression("{0}[:, {c:stop}]", (channels("c", c),), needs=(Tightness.ATOM,))
        if self.start + c == inputs[0][0]:
            return Expression("{0}[:, {start:start}]", (start,), needs=(Tightness.ATOM,))
        stop = Argument("stop", self.start + c)
        return Expression("{0}[:, {start:start}{stop}]", (start, stop), needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class Shuffle(Operator):
    """The channels of ``groups`` groups in turn, so that the next group sees all of them (Zhang et al., CVPR 2018)."""

    name: ClassVar[str] = "shuffle"
    stepwise: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    permutes_channels: ClassVar[bool] = True
    any_width: ClassVar[bool] = False
    saves: ClassVar[Saved] = Saved.NONE

    groups: Annotated[int, Whole()]

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        return split_refusal(inputs[0].c, self.groups) or super().refusal(inputs, output)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Shuffle", (Argument("groups", self.groups),))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        template = "{0}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)"
        return Expression(template, (Argument("groups", self.groups, Role.GROUPS),), needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class Flatten(Operator):
    """All numbers of an image as one vector."""

    name: ClassVar[str] = "flatten"
    any_width: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        if any(isinstance(dim, Open) for dim in inputs[0].dims):
            return (None,)
        return (lift(lambda *dims: math.prod(dims), *inputs[0].dims),)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("nn.Flatten")

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("{0}.flatten(1)", needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class ChannelsLast(Operator):
    """The same image with channels last in memory; the compiler's own (`passes.layout`)."""

    name: ClassVar[str] = "channels_last"
    preserves_zero: ClassVar[bool] = True
    channels_last: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("ChannelsLast")
