"""Operators of transformers, on tokens: (c, n) for each image or text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import lift

from .base import Operator, Saved, TensorPart
from .parameters import Channels, Whole
from .torch_form import Argument, Expression, Tightness, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class Attention(Operator):
    """Multi-head self-attention: projections to queries, keys and values, and of the heads to the output.

    Vaswani et al., "Attention Is All You Need", NeurIPS 2017.
    """

    name: ClassVar[str] = "attention"
    module: ClassVar[str] = "Attention"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    heads: Annotated[int, Whole()]
    width: Annotated[int, Whole("the channels of a head")]

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        inner = self.heads * self.width
        return 3 * inner * (inputs[0][0] + 1) + output[0] * (inner + 1)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        inner = self.heads * self.width
        return inputs[0][1] * (3 * inner * inputs[0][0] + output[0] * inner)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        numbers = Argument("heads", self.heads), Argument("width", self.width)
        return TorchModule(self.module, (channels("c", inputs[0][0]), *numbers))

    def part(self, name: str, whole: Ints, shape: Ints, smaller: Self) -> TensorPart:
        """The first heads, and of each the first channels, of queries, keys and values alike."""
        if name == "project.bias":
            return super().part(name, whole, shape, smaller)
        axis, three = (1, ()) if name == "project.weight" else (0, (3,))
        view = (*whole[:axis], *three, self.heads, self.width, *whole[axis + 1 :])
        sizes = (*shape[:axis], *three, smaller.heads, smaller.width, *shape[axis + 1 :])
        return TensorPart(view, (0,) * len(view), sizes, shape)


@dataclass(frozen=True, kw_only=True)
class CausalAttention(Attention):
    """Attention of each token to itself and to those before it."""

    name: ClassVar[str] = "causal_attention"
    module: ClassVar[str] = "CausalAttention"


@dataclass(frozen=True, kw_only=True)
class CrossAttention(Operator):
    """Attention of the tokens of the first input to those of the second, which give keys and values.

    Vaswani et al., NeurIPS 2017. The tokens read may be as many, and as wide, as they are.
    """

    name: ClassVar[str] = "cross_attention"
    arity: ClassVar[int | None] = 2
    ranks: ClassVar[tuple[int, ...]] = (2,)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    heads: Annotated[int, Whole()]
    width: Annotated[int, Whole("the channels of a head")]

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if len(inputs) > 1 and len(inputs[1].dims) not in self.ranks:
            return f"does not attend to a tensor of shape {inputs[1]}"
        return super().refusal(inputs, output)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        inner = self.heads * self.width
        return inner * (inputs[0][0] + 1) + 2 * inner * (inputs[1][0] + 1) + output[0] * (inner + 1)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        inner = self.heads * self.width
        return inner * (math.prod(inputs[0]) + 2 * math.prod(inputs[1]) + math.prod(output))

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        numbers = Argument("heads", self.heads), Argument("width", self.width)
        widths = channels("c", inputs[0][0], read=True), channels("attended", inputs[1][0], read=True)
        return TorchModule("CrossAttention", (*widths, *numbers))


@dataclass(frozen=True, kw_only=True)
class Patches(Operator):
    """An image cut into k x k patches, each projected to c channels: a strided convolution with a bias."""

    name: ClassVar[str] = "patches"
    ranks: ClassVar[tuple[int, ...]] = (3,)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    k: Annotated[int, Whole("the side of a patch")]
    c: Channels

    @property
    def kernel(self) -> int:
        return self.k

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, lift(lambda h, w: h // self.k * (w // self.k), *inputs[0].space)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0] * (inputs[0][0] * self.k**2 + 1)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(output) * inputs[0][0] * self.k**2

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        widths = channels("inputs", inputs[0][0], read=True), channels("c", output[0])
        return TorchModule("Patches", (*widths, Argument("k", self.k)))


@dataclass(frozen=True, kw_only=True)
class ClassToken(Operator):
    """A learned token before the others."""

    name: ClassVar[str] = "class_token"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return inputs[0].c, lift(lambda tokens: tokens + 1, inputs[0].dims[1])

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("ClassToken", (channels("c", inputs[0][0]),))


@dataclass(frozen=True, kw_only=True)
class Positions(Operator):
    """A learned embedding of each position, added."""

    name: ClassVar[str] = "positions"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(output)

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Positions", (channels("c", inputs[0][0]), Argument("tokens", output[1])))


@dataclass(frozen=True, kw_only=True)
class Sinusoids(Operator):
    """Sines and cosines of each position, added: wavelengths from 2 pi to 20,000 pi over the channels.

    Vaswani et al., NeurIPS 2017: sines in the first half of the channels here, cosines in the second.
    """

    name: ClassVar[str] = "sinusoids"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("Sinusoids", (channels("c", inputs[0][0]), Argument("tokens", output[1])))


class OneToken(Operator):
    """One token alone: a vector; no dataclass itself, like `.pooling.Pool`."""

    preserves_zero: ClassVar[bool] = True
    ranks: ClassVar[tuple[int, ...]] = (2,)
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return (inputs[0].c,)

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None


@dataclass(frozen=True, kw_only=True)
class FirstToken(OneToken):
    """The first token alone: a vector."""

    name: ClassVar[str] = "first_token"

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("FirstToken")

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("{0}[:, :, 0]", needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class LastToken(OneToken):
    """The last token alone: a vector, such as what a recurrent layer ends with."""

    name: ClassVar[str] = "last_token"

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("LastToken")

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("{0}[:, :, -1]", needs=(Tightness.ATOM,))
