"""The primitives by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .activation import Gelu, HardSigmoid, HardSwish, LeakyRelu, Relu, Relu6, Sigmoid, Softmax, Swish, Tanh
from .base import Operator
from .convolution import Conv, ConvTranspose, Linear, RectConv
from .elementwise import Lerp, Scaled
from .normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm
from .pooling import AdaptivePool, AvgPool, Crop, GlobalMaxPool, GlobalPool, MaxPool, Resize, Upsample
from .rearrangement import MatMul, Permute, Unflatten, Unfold
from .recurrence import NextState, PreviousState
from .regularisation import Dropout, DropPath
from .sequences import Embedding, Gru, Lstm
from .shared_weights import AddBias, LookUp, Project, WeightMatrix
from .structure import Add, ChannelsLast, Concat, Cut, Flatten, Identity, Mul, Noise, Shuffle, Zero
from .tokens import (
    Attention,
    CausalAttention,
    ClassToken,
    CrossAttention,
    FirstToken,
    LastToken,
    Patches,
    Positions,
    Sinusoids,
)


class Registry:
    """Operators by name."""

    def __init__(self, operators: Iterable[type[Operator]]) -> None:
        self._operators = {operator.name: operator for operator in operators}

    def get(self, name: str) -> type[Operator] | None:
        """The operator of a name."""
        return self._operators.get(name)

    def __iter__(self) -> Iterator[type[Operator]]:
        return iter(self._operators.values())


PRIMITIVES = Registry(
    (
        *(Conv, RectConv, ConvTranspose, Linear),
        *(BatchNorm, LayerNorm, GroupNorm, InstanceNorm),
        *(MaxPool, AvgPool, GlobalPool, GlobalMaxPool, AdaptivePool, Crop, Resize, Upsample),
        *(Relu, Relu6, Gelu, Swish, HardSwish, Sigmoid, HardSigmoid, Tanh, LeakyRelu, Softmax),
        *(Unfold, Unflatten, Permute, MatMul),
        *(Attention, CausalAttention, CrossAttention, Patches),
        *(ClassToken, Positions, Sinusoids, FirstToken, LastToken),
        *(Embedding, Gru, Lstm, PreviousState, NextState),
        *(WeightMatrix, Project, LookUp, AddBias, Lerp, Scaled),
        *(Identity, DropPath, Dropout, Zero, Noise, Add, Concat, Mul, Cut, Shuffle, Flatten, ChannelsLast),
    )
)
"""The primitives of the language, and what the compiler itself adds to a graph."""
