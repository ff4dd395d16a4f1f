"""Operators of texts and series: the embedding of tokens, and recurrent layers, (c, n) for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from compiler.ir.shape import Extent, Ints, Shape

from .base import Operator, TensorPart
from .parameters import Channels, Whole
from .torch_form import Argument, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class Embedding(Operator):
    """A learned vector for each token: (n) numbers below ``tokens`` to (c, n). It multiplies nothing."""

    name: ClassVar[str] = "embedding"
    ranks: ClassVar[tuple[int, ...]] = (1,)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    tokens: Annotated[int, Whole("the number of different tokens")]
    c: Channels

    @property
    def vocabulary(self) -> int:
        return self.tokens

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, inputs[0].c

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return self.tokens * output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("TokenEmbedding", (Argument("tokens", self.tokens), channels("c", output[0], False, False)))


class Recurrent(Operator):
    """A recurrent layer over the tokens, from the first to the last; no dataclass itself, like `.pooling.Pool`.

    Each token costs the matrices of its gates, on what is read and on the state; torch has two biases for each.
    """

    ranks: ClassVar[tuple[int, ...]] = (2,)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    gates: ClassVar[int]
    """The number of matrices."""
    module: ClassVar[str]

    c: int

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *inputs[0].space

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return self.gates * output[0] * (inputs[0][0] + output[0] + 2)

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        return output[1] * self.gates * output[0] * (inputs[0][0] + output[0])

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(self.module, (channels("inputs", inputs[0][0], read=True), channels("c", output[0])))

    def part(self, name: str, whole: Ints, shape: Ints, smaller: Self) -> TensorPart:
        """The first channels of every gate."""
        view = (self.gates, self.c, *whole[1:])
        return TensorPart(view, (0,) * len(view), (self.gates, smaller.c, *shape[1:]), shape)


@dataclass(frozen=True, kw_only=True)
class Gru(Recurrent):
    """Gated recurrent units (Cho et al., EMNLP 2014)."""

    name: ClassVar[str] = "gru"
    module: ClassVar[str] = "Gru"
    gates: ClassVar[int] = 3

    c: Annotated[int, Whole("the number of output channels")]


@dataclass(frozen=True, kw_only=True)
class Lstm(Recurrent):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997)."""

    name: ClassVar[str] = "lstm"
    module: ClassVar[str] = "Lstm"
    gates: ClassVar[int] = 4

    c: Annotated[int, Whole("the number of output channels")]
