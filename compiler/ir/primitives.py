"""The primitives behind `spaces/lib/prim.hsp`: what each costs, what it allows, and the torch module it becomes.

A primitive is one class here and one line in the prelude; nothing else names it. torch is imported only inside
`build`, so that checking and counting never load it. Costs follow law 8: a multiply-add of a conv or a linear counts
one; biases, norms, pools and attention products count none. Activation memory is that of the tensors that primitives
make, in float32; what only looks at another tensor makes none.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from .undecided import Open, Var, largest

if TYPE_CHECKING:
    from torch import Tensor, fx, nn

    from .payloads import Prim
    from .shape import Shape

Ints = tuple[int, ...]

FLOAT32 = 4
"""Bytes of a number of the type in which costs are stated."""


class Primitive(ABC):
    """A primitive. Shapes are those of one image, channels first; ``attrs`` are the parameters, all decided."""

    name: ClassVar[str]
    widths: ClassVar[frozenset[str]] = frozenset()
    """Parameters that may be an undecided width: the largest is built."""
    pure: ClassVar[bool] = True
    """Whether it has no parameters, state or randomness, so that equal applications can be shared."""
    random: ClassVar[bool] = False
    """Whether a discrete network gives other outputs with every call."""
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3)
    """Ranks that its first input may have, channels included."""
    fills: ClassVar[bool] = False
    """Whether channels that are zero on the way in may be non-zero on the way out, so that widths mask them."""
    any_width: ClassVar[bool] = True
    """Whether the relaxed network can apply it to a tensor of undecided width."""
    view: ClassVar[bool] = False
    """Whether a discrete network at inference has its output for nothing: it is its input, or a part of it."""

    def complaint(self, attrs: Mapping[str, Any], inputs: Sequence[Shape], output: Shape) -> str | None:
        """What is wrong with an application, as the end of a sentence that starts with the operation's name."""
        if len(inputs[0].dims) not in self.ranks:
            return f"does not take a tensor of shape {inputs[0]}"
        return None

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        """Trainable parameters."""
        return 0

    def macs(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        """Multiply-adds of one image."""
        return 0

    def memory(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        """Bytes of the tensors that it makes for one image; what its module keeps inside is not counted."""
        return 0 if self.view else FLOAT32 * math.prod(output)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        """The torch module, called with the inputs in order; batches come first."""
        raise AssertionError(f"'{self.name}' is emitted, not built")

    def emit(self, graph: fx.Graph, inputs: Sequence[fx.Node]) -> fx.Node | None:
        """Code instead of a module, for what Python says better itself."""
        return None

    def part(
        self, tensor: Tensor, shape: Ints, name: str, attrs: Mapping[str, Any], smaller: Mapping[str, Any]
    ) -> Tensor:
        """What of a parameter or buffer a smaller application uses: the first channels, the middle of a kernel.

        Args:
            tensor: that of the module built with ``attrs``; ``name`` is what the module calls it.
            shape: of the part, the tensor of the module built with ``smaller``.
        """
        for axis, size in enumerate(shape):
            if size < tensor.shape[axis]:
                tensor = tensor.narrow(axis, 0 if axis < 2 else (tensor.shape[axis] - size) // 2, size)
        return tensor


def decided(attrs: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes with undecided widths at their largest."""
    return {name: largest(value) if isinstance(value, Var) else value for name, value in attrs.items()}


class Conv(Primitive):
    name = "conv"
    fills = True
    widths = frozenset({"c", "groups"})
    pure = False
    ranks = (3,)

    def complaint(self, attrs: Mapping[str, Any], inputs: Sequence[Shape], output: Shape) -> str | None:
        wrong = super().complaint(attrs, inputs, output)
        if wrong:
            return wrong
        groups, width, c = attrs["groups"], inputs[0].c, attrs["c"]
        if isinstance(groups, Var | Open) or isinstance(width, Var | Open) or isinstance(c, Var | Open):
            return None
        if not isinstance(groups, int) or not isinstance(c, int) or groups < 1 or width % groups or c % groups:
            return f"cannot split {width} channels into {c} with {groups} groups"
        return None

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        weights = attrs["c"] * (inputs[0][0] // attrs["groups"]) * self.area(attrs)
        return int(weights + (attrs["c"] if attrs["bias"] else 0))

    def macs(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return int(math.prod(output) * (inputs[0][0] // attrs["groups"]) * self.area(attrs))

    def area(self, attrs: Mapping[str, Any]) -> int:
        """Pixels under the kernel."""
        return int(attrs["k"] ** 2)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        return nn.Conv2d(
            inputs[0][0],
            attrs["c"],
            attrs["k"],
            stride=attrs["stride"],
            padding=attrs["pad"],
            dilation=attrs["dilation"],
            groups=attrs["groups"],
            bias=attrs["bias"],
        )


class RectConv(Conv):
    """A convolution whose kernel, stride and padding differ between height and width."""

    name = "rect_conv"

    def area(self, attrs: Mapping[str, Any]) -> int:
        return int(attrs["kh"] * attrs["kw"])

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        return nn.Conv2d(
            inputs[0][0],
            attrs["c"],
            (attrs["kh"], attrs["kw"]),
            stride=(attrs["sh"], attrs["sw"]),
            padding=((attrs["kh"] - 1) // 2, (attrs["kw"] - 1) // 2),
            groups=attrs["groups"],
            bias=attrs["bias"],
        )


class Linear(Primitive):
    name = "linear"
    fills = True
    widths = frozenset({"c"})
    pure = False
    ranks = (1, 2)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return int(attrs["c"] * (inputs[0][0] + bool(attrs["bias"])))

    def macs(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return int(attrs["c"] * math.prod(inputs[0]))

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        from compiler.backend.torch_modules.modules import TokenLinear

        kind = nn.Linear if len(inputs[0]) == 1 else TokenLinear
        return kind(inputs[0][0], attrs["c"], bias=attrs["bias"])


class BatchNorm(Primitive):
    name = "batch_norm"
    fills = True
    pure = False
    ranks = (3,)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0] if attrs["affine"] else 0

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.batch_norm import BatchNorm

        return BatchNorm(output[0], affine=attrs["affine"])


class LayerNorm(Primitive):
    name = "layer_norm"
    fills = True
    any_width = False
    pure = False
    ranks = (1, 2)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0]

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        from compiler.backend.torch_modules.modules import TokenLayerNorm

        return nn.LayerNorm(output[0]) if len(output) == 1 else TokenLayerNorm(output[0])


class MaxPool(Primitive):
    name = "max_pool"
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        return nn.MaxPool2d(attrs["k"], attrs["stride"], attrs["pad"])


class AvgPool(Primitive):
    name = "avg_pool"
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        return nn.AvgPool2d(attrs["k"], attrs["stride"], attrs["pad"], count_include_pad=attrs["count_pad"])


class GlobalPool(Primitive):
    name = "global_pool"
    ranks = (2, 3)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import GlobalPool as Module

        return Module()


class Zero(Primitive):
    name = "zero"
    widths = frozenset({"c"})
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Zero as Module

        return Module(output)


class Noise(Primitive):
    """Standard normal noise instead of the input, new with every call (Zela et al., ICLR 2020)."""

    name = "noise"
    fills = True
    pure = False
    random = True
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Noise as Module

        return Module(output)


class Crop(Primitive):
    name = "crop"
    view = True
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Crop as Module

        return Module(attrs["top"], attrs["left"])


class Resize(Primitive):
    name = "resize"
    ranks = (3,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Resize as Module

        return Module(output[1], output[2])


class Flatten(Primitive):
    name = "flatten"
    view = True
    any_width = False

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        return nn.Flatten()


class Cut(Primitive):
    """``c`` channels of a tensor, from ``start`` on.

    NAS-Bench-101 truncates what a wider vertex gives (Ying et al., ICML 2019); ShuffleNet V2 splits (Ma et al., 2018).
    """

    name = "cut"
    view = True
    widths = frozenset({"c"})

    def complaint(self, attrs: Mapping[str, Any], inputs: Sequence[Shape], output: Shape) -> str | None:
        start, c, width = attrs["start"], attrs["c"], inputs[0].c
        if not all(isinstance(number, int) for number in (start, c, width)) or 0 <= start <= width - c:
            return super().complaint(attrs, inputs, output)
        return f"cannot take {c} channels from channel {start} on of {width}"

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Cut as Module

        return Module(output[0], attrs["start"])


class Shuffle(Primitive):
    """The channels of ``groups`` groups in turn, so that the next group sees all of them (Zhang et al., CVPR 2018)."""

    name = "shuffle"
    any_width = False

    def complaint(self, attrs: Mapping[str, Any], inputs: Sequence[Shape], output: Shape) -> str | None:
        groups, width = attrs["groups"], inputs[0].c
        if not isinstance(groups, int) or groups < 1 or (isinstance(width, int) and width % groups):
            return f"cannot split {width} channels into {groups} groups"
        return super().complaint(attrs, inputs, output)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Shuffle as Module

        return Module(attrs["groups"])


class Activation(Primitive):
    """An activation by the name of its torch module."""

    torch_name: ClassVar[str]

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from torch import nn

        module: nn.Module = getattr(nn, self.torch_name)()
        return module


class Identity(Activation):
    name, torch_name = "identity", "Identity"
    view = True


class Relu(Activation):
    name, torch_name = "relu", "ReLU"


class Relu6(Activation):
    name, torch_name = "relu6", "ReLU6"


class Gelu(Activation):
    name, torch_name = "gelu", "GELU"


class Swish(Activation):
    name, torch_name = "swish", "SiLU"


class HardSwish(Activation):
    name, torch_name = "hard_swish", "Hardswish"


class Sigmoid(Activation):
    name, torch_name = "sigmoid", "Sigmoid"


class HardSigmoid(Activation):
    name, torch_name = "hard_sigmoid", "Hardsigmoid"


class DropPath(Primitive):
    name = "drop_path"
    view = True
    pure = False

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import DropPath as Module

        return Module()


class Add(Primitive):
    """The sum of all inputs (``a + b``, ``sum``), one after the other."""

    name = "add"

    def memory(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return FLOAT32 * math.prod(output) * (len(inputs) - 1)

    def emit(self, graph: fx.Graph, inputs: Sequence[fx.Node]) -> fx.Node:
        import operator

        total = inputs[0]
        for item in inputs[1:]:
            total = graph.call_function(operator.add, (total, item))
        return total


class Concat(Primitive):
    name = "concat"
    any_width = False

    def emit(self, graph: fx.Graph, inputs: Sequence[fx.Node]) -> fx.Node:
        import torch

        return graph.call_function(torch.cat, (list(inputs), 1))


class ChannelsLast(Primitive):
    """The same image with channels last in memory; the compiler's own (`passes.layout`)."""

    name = "channels_last"

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import ChannelsLast as Module

        return Module()


class Mul(Primitive):
    """``x * g``; a vector gates channel by channel."""

    name = "mul"

    def emit(self, graph: fx.Graph, inputs: Sequence[fx.Node]) -> fx.Node:
        from compiler.backend.torch_modules.modules import gate

        return graph.call_function(gate, tuple(inputs))


class Attention(Primitive):
    """Multi-head self-attention, ``heads`` heads of ``width`` channels: query, key, value and output projections."""

    name = "attention"
    fills = True
    pure = False
    ranks = (2,)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        inner = attrs["heads"] * attrs["width"]
        return int(3 * inner * (inputs[0][0] + 1) + output[0] * (inner + 1))

    def macs(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        inner = attrs["heads"] * attrs["width"]
        return int(inputs[0][1] * (3 * inner * inputs[0][0] + output[0] * inner))

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Attention as Module

        return Module(inputs[0][0], attrs["heads"], attrs["width"])

    def part(
        self, tensor: Tensor, shape: Ints, name: str, attrs: Mapping[str, Any], smaller: Mapping[str, Any]
    ) -> Tensor:
        """The first heads, and of each the first channels, of queries, keys and values alike."""
        if name == "project.bias":
            return super().part(tensor, shape, name, attrs, smaller)
        axis = 1 if name == "project.weight" else 0
        split = (3, attrs["heads"], attrs["width"])[axis:]
        tensor = tensor.reshape(*tensor.shape[:axis], *split, *tensor.shape[axis + 1 :])
        for at, size in enumerate((smaller["heads"], smaller["width"]), axis + len(split) - 2):
            tensor = tensor.narrow(at, 0, size)
        tensor = tensor.flatten(axis, axis + len(split) - 1)
        return super().part(tensor, shape, name, attrs, smaller)


class Patches(Primitive):
    """An image cut into k x k patches, each projected to c channels: a strided convolution with a bias."""

    name = "patches"
    fills = True
    widths = frozenset({"c"})
    pure = False
    ranks = (3,)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return int(attrs["c"] * (inputs[0][0] * attrs["k"] ** 2 + 1))

    def macs(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return int(math.prod(output) * inputs[0][0] * attrs["k"] ** 2)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Patches as Module

        return Module(inputs[0][0], attrs["c"], attrs["k"])


class ClassToken(Primitive):
    name = "class_token"
    fills = True
    pure = False
    ranks = (2,)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return output[0]

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import ClassToken as Module

        return Module(output[0])


class Positions(Primitive):
    name = "positions"
    fills = True
    pure = False
    ranks = (2,)

    def params(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> int:
        return math.prod(output)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import Positions as Module

        return Module(output[0], output[1])


class FirstToken(Primitive):
    name = "first_token"
    view = True
    ranks = (2,)

    def build(self, attrs: Mapping[str, Any], inputs: Sequence[Ints], output: Ints) -> nn.Module:
        from compiler.backend.torch_modules.modules import FirstToken as Module

        return Module()


def _all(kind: type[Primitive]) -> list[type[Primitive]]:
    return [found for child in kind.__subclasses__() for found in (child, *_all(child))]


PRIMITIVES: dict[str, Primitive] = {kind.name: kind() for kind in _all(Primitive) if hasattr(kind, "name")}
"""Every primitive by its name."""


def spec_of(prim: Prim) -> Primitive | None:
    """What does a primitive; None for an external operation that is not allowed."""
    return prim.plugin or PRIMITIVES.get(prim.name)
