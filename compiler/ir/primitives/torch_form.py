"""The torch form of an operator as plain data: a module, a call, or an expression of source code. No torch here.

`compiler.backend.lowering.operators` instantiates modules and calls; `compiler.backend.export` prints modules and
expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TypeAlias

Plain: TypeAlias = "int | float | bool | tuple[int, ...] | None"


class Role(Enum):
    """The meaning of a number, by which an export names the parameter that it may become."""

    NUMBER = "number"
    CHANNELS = "channels"
    CHANNELS_READ = "channels read"
    """Channels that follow from the tensor that is read."""
    KERNEL = "kernel"
    PADDING = "padding"
    GROUPS = "groups"

    @property
    def is_width(self) -> bool:
        """Whether it is a number of channels."""
        return self in (Role.CHANNELS, Role.CHANNELS_READ)


@dataclass(frozen=True)
class Argument:
    """An argument of a module, or a number in an expression.

    Source code leaves a keyword argument out where it has its ``default``. ``short`` is the name that the language
    gives it; the default is its own.
    """

    name: str
    value: Plain
    role: Role = Role.NUMBER
    positional: bool = False
    default: Plain = None
    short: str = ""


@dataclass(frozen=True)
class TorchModule:
    """A module to be made: ``nn.Conv2d`` of `torch.nn`, or a class of `compiler.backend.torch_modules`."""

    kind: str
    arguments: tuple[Argument, ...] = ()


class Operands(Enum):
    """How a function takes its operands: as arguments, as one list, or two at a time from the left."""

    ARGUMENTS = "arguments"
    LIST = "list"
    PAIRS = "pairs"


@dataclass(frozen=True)
class TorchCall:
    """A function of tensors: ``operator.add``, ``torch.cat``, or a function of `compiler.backend.torch_modules`.

    ``arguments`` follow the operands.
    """

    function: str
    operands: Operands = Operands.ARGUMENTS
    arguments: tuple[Plain, ...] = ()


class Tightness(IntEnum):
    """How tightly an expression of source code binds."""

    SUM = 0
    PRODUCT = 1
    ATOM = 2


@dataclass(frozen=True)
class Expression:
    """Source code: ``{0}``, ``{1}`` stand for the tensors, names for numbers (``{top:start}`` for a slice from one).

    It binds as tightly as ``tight``; tensor i stands in parentheses where it binds less than ``needs[i]``.
    """

    template: str
    numbers: tuple[Argument, ...] = ()
    tight: Tightness = Tightness.ATOM
    needs: tuple[Tightness, ...] = ()
    listed: bool = False
    """Whether it is a call whose operands stand in a list, before further arguments."""


def channels(name: str, value: int, read: bool = False, positional: bool = True) -> Argument:
    """A number of channels as an argument, ``read`` where it is that of the input."""
    return Argument(name, value, Role.CHANNELS_READ if read else Role.CHANNELS, positional, short="c")
