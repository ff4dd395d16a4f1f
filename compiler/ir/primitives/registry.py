"""The primitives by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .activation import Gelu, HardSigmoid, HardSwish, Relu, Relu6, Sigmoid, Swish
from .base import Operator
from .convolution import Conv, Linear, RectConv
from .normalisation import BatchNorm, LayerNorm
from .pooling import AvgPool, Crop, GlobalPool, MaxPool, Resize
from .structure import Add, ChannelsLast, Concat, Cut, DropPath, Flatten, Identity, Mul, Noise, Shuffle, Zero
from .tokens import Attention, ClassToken, FirstToken, Patches, Positions


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
        *(Conv, RectConv, Linear),
        *(BatchNorm, LayerNorm),
        *(MaxPool, AvgPool, GlobalPool, Crop, Resize),
        *(Relu, Relu6, Gelu, Swish, HardSwish, Sigmoid, HardSigmoid),
        *(Attention, Patches, ClassToken, Positions, FirstToken),
        *(Identity, DropPath, Zero, Noise, Add, Concat, Mul, Cut, Shuffle, Flatten, ChannelsLast),
    )
)
"""The primitives of the language, and what the compiler itself adds to a graph."""
