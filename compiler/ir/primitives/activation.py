"""Activations: element by element, without parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.shape import Ints

from . import roles
from .base import Operator, Saved
from .torch_form import Argument, Expression, TorchModule


@dataclass(frozen=True, kw_only=True)
class Activation(Operator):
    """An activation of torch, by the names of its module in `torch.nn` and of its function.

    A new one is a class of these two names, its traits, and a line in `spaces/lib/prim.hsp`.
    """

    stepwise: ClassVar[bool] = True
    module: ClassVar[str]
    function: ClassVar[str]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule(f"nn.{self.module}")

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression(f"{self.function}({{0}})")


@dataclass(frozen=True, kw_only=True)
class Relu(Activation):
    """max(x, 0)."""

    name: ClassVar[str] = "relu"
    module: ClassVar[str] = "ReLU"
    function: ClassVar[str] = "F.relu"
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.OUTPUT

    @property
    def role(self) -> roles.Rectifier:
        return roles.Rectifier()


@dataclass(frozen=True, kw_only=True)
class LeakyRelu(Activation):
    """max(x, 0.01 x) (Maas et al., ICML 2013)."""

    name: ClassVar[str] = "leaky_relu"
    module: ClassVar[str] = "LeakyReLU"
    function: ClassVar[str] = "F.leaky_relu"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Softmax(Operator):
    """exp(x) of each position, divided by its sum over the channels."""

    name: ClassVar[str] = "softmax"
    any_width: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.OUTPUT

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("nn.Softmax", (Argument("dim", 1, positional=True),))

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        return Expression("F.softmax({0}, dim=1)")


@dataclass(frozen=True, kw_only=True)
class Relu6(Activation):
    """min(max(x, 0), 6) (Howard et al., "MobileNets", 2017)."""

    name: ClassVar[str] = "relu6"
    module: ClassVar[str] = "ReLU6"
    function: ClassVar[str] = "F.relu6"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Gelu(Activation):
    """x times the standard normal distribution function of x (Hendrycks and Gimpel, 2016)."""

    name: ClassVar[str] = "gelu"
    module: ClassVar[str] = "GELU"
    function: ClassVar[str] = "F.gelu"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Swish(Activation):
    """x * sigmoid(x) (Ramachandran et al., 2017)."""

    name: ClassVar[str] = "swish"
    module: ClassVar[str] = "SiLU"
    function: ClassVar[str] = "F.silu"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class HardSwish(Activation):
    """x * relu6(x + 3) / 6 (Howard et al., "MobileNetV3", ICCV 2019)."""

    name: ClassVar[str] = "hard_swish"
    module: ClassVar[str] = "Hardswish"
    function: ClassVar[str] = "F.hardswish"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    name: ClassVar[str] = "sigmoid"
    module: ClassVar[str] = "Sigmoid"
    function: ClassVar[str] = "torch.sigmoid"
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.OUTPUT


@dataclass(frozen=True, kw_only=True)
class Tanh(Activation):
    """(exp(x) - exp(-x)) / (exp(x) + exp(-x))."""

    name: ClassVar[str] = "tanh"
    module: ClassVar[str] = "Tanh"
    function: ClassVar[str] = "torch.tanh"
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.OUTPUT


@dataclass(frozen=True, kw_only=True)
class HardSigmoid(Activation):
    """relu6(x + 3) / 6 (Howard et al., "MobileNetV3", ICCV 2019)."""

    name: ClassVar[str] = "hard_sigmoid"
    module: ClassVar[str] = "Hardsigmoid"
    function: ClassVar[str] = "F.hardsigmoid"
    fills: ClassVar[bool] = True
