"""`Operator`: what the compiler knows of a primitive. Its traits are class attributes, its parameters are its fields.

Analyses, passes and the backend ask for traits and call these methods; none of them lists names of primitives. Costs
follow law 8: a multiply-add of a convolution or a linear counts one; biases, norms, pools and attention products count
none. Activation memory is that of the tensors that operators make, in float32; a view of another tensor makes none.
"""

from __future__ import annotations

import math
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from enum import Enum
from functools import cache
from typing import ClassVar, Self, get_args, get_type_hints

from compiler.ir.shape import Extent, Ints, Shape
from compiler.ir.undecided import Open, Var, largest

from . import roles
from .parameters import Attribute, Flag, Kind, Parameter, Share, SignatureError, Whole
from .torch_form import Expression, TorchCall, TorchModule

FLOAT32 = 4
"""Bytes of a number of the type in which costs are stated."""


class Gather(Enum):
    """How an operator combines any number of inputs. Its output exists if any of them does."""

    SUM = "sum"
    CONCATENATION = "concatenation"


class Saved(Enum):
    """The tensors that autograd keeps for the backward pass."""

    INPUTS = "inputs"
    OUTPUT = "output"
    NONE = "none"


@dataclass(frozen=True, kw_only=True)
class Operator(ABC):
    """A primitive with its parameters.

    A subclass is a frozen dataclass: ``name`` is what the prelude calls it (``external "hsp:NAME"``), and its fields
    are the parameters of that signature, in the same order. Shapes are those of one image, channels first. Costs and
    torch forms are asked for with all shapes decided, and take undecided parameters at their largest.
    """

    name: ClassVar[str]

    # ---- inputs
    arity: ClassVar[int | None] = 1
    """The number of its inputs; None for any."""
    ranks: ClassVar[tuple[int, ...]] = (1, 2, 3, 4)
    """Ranks that its first input may have, channels included."""
    any_width: ClassVar[bool] = True
    """Whether the relaxed network can apply it to a tensor of undecided width."""
    available: ClassVar[bool] = True
    """Whether it can be priced and built; False for a plugin that is not allowed."""

    # ---- function
    pure: ClassVar[bool] = True
    """Whether it has no parameters, state or randomness, so that equal applications can be shared."""
    random: ClassVar[bool] = False
    """Whether a discrete network gives other outputs with every call."""
    identity: ClassVar[bool] = False
    """Whether its output is its input; if it ``drops_paths``, only while no discrete network is trained."""
    drops_paths: ClassVar[bool] = False
    """Whether it drops its input at the rate of the `train` section while a discrete network is trained."""
    drops_units: ClassVar[bool] = False
    """Whether it drops numbers at random while a network is trained, and is its input elsewhere."""
    zero: ClassVar[bool] = False
    """Whether its output is zero, whatever its input."""
    preserves_zero: ClassVar[bool] = False
    """Whether zeros become zeros whatever its parameters, so that a network without the edge computes the same."""
    absorbs_zero: ClassVar[bool] = False
    """Whether its output is zero as soon as one of its inputs is."""
    fills: ClassVar[bool] = False
    """Whether channels that are zero on the way in may be non-zero on the way out, so that undecided widths mask it."""
    commutative: ClassVar[bool] = False
    """Whether the order of its inputs does not matter; for a concatenation, but for the order of the channels."""
    infix: ClassVar[str] = ""
    """The sign between its inputs where they are written as one expression."""
    gather: ClassVar[Gather | None] = None
    """How it combines any number of inputs."""
    slices_channels: ClassVar[bool] = False
    """Whether its output is some of the channels of its input."""
    permutes_channels: ClassVar[bool] = False
    """Whether its output is its input with the channels in another order."""
    stepwise: ClassVar[bool] = False
    """Whether each position of its output depends on that position of its input alone, so that a recurrence may call
    it on one position."""
    opens_loop: ClassVar[bool] = False
    """Whether it opens a recurrence: its output at a position is the output of the recurrent cell at the one before."""
    closes_loop: ClassVar[bool] = False
    """Whether it closes a recurrence: its output is its first input, which the cell computes from the second one."""
    packs: ClassVar[bool] = False
    """Whether its output is the tuple of its inputs, no tensor: the several outputs of a network."""
    channels_last: ClassVar[bool] = False
    """Whether it only changes the order in memory, to channels last."""

    torch_call: ClassVar[TorchCall | None] = None
    """The function that computes it; None where a module does."""

    # ---- memory and time
    view: ClassVar[bool] = False
    """Whether its output costs nothing in inference: it is the input, or a part of the input."""
    saves: ClassVar[Saved] = Saved.INPUTS
    """The tensors that the backward pass reads."""
    saves_indices: ClassVar[int] = 0
    """Bytes of indices that it keeps for the backward pass, for each number of its output."""
    passes_over_memory: ClassVar[int] = 2
    """How often forward and backward together read or write its input and output, if it multiplies nothing."""
    unremarkable: ClassVar[bool] = False
    """Whether names leave it out, as the operation that a reader expects."""

    # ------------------------------------------------------------ parameters

    @classmethod
    @cache
    def parameters(cls) -> tuple[Parameter, ...]:
        """The parameters, in the order of the signature."""
        hints = get_type_hints(cls, include_extras=True)
        return tuple(
            Parameter(field.name, _kind(hints[field.name]), None if field.default is MISSING else field.default)
            for field in fields(cls)
        )

    @classmethod
    @cache
    def widths(cls) -> frozenset[str]:
        """The parameters that may stay undecided in the graph."""
        return frozenset(parameter.name for parameter in cls.parameters() if parameter.kind.width)

    @classmethod
    def check(cls, values: Mapping[str, object]) -> None:
        """Check some of its parameters; of an undecided one all values.

        Raises:
            ParameterError: a value is of the wrong kind, or outside of its range.
            SignatureError: it has no parameter of a name.
        """
        known = {parameter.name: parameter for parameter in cls.parameters()}
        for name, value in values.items():
            if name not in known:
                raise SignatureError(f"'{cls.name}' has no parameter '{name}'")
            known[name].check(value)

    @classmethod
    def of(cls, values: Mapping[str, object]) -> Self:
        """The operator with these parameters, of which only widths may be undecided.

        Raises:
            ParameterError: a value is of the wrong kind, or outside of its range.
            SignatureError: a parameter is missing, or not one of this operator.
        """
        cls.check(values)
        for parameter in cls.parameters():
            if parameter.default is None and parameter.name not in values:
                raise SignatureError(f"'{cls.name}' needs a parameter '{parameter.name}'")
        return cls(**values)

    @property
    def called(self) -> str:
        """Its name in the graph and in messages."""
        return self.name

    @property
    def attributes(self) -> tuple[tuple[str, Attribute], ...]:
        """The parameters with their values, in order."""
        return tuple((field.name, getattr(self, field.name)) for field in fields(self))

    @property
    def decisions(self) -> frozenset[str]:
        """The decisions that its parameters depend on."""
        return frozenset(name for _, v in self.attributes if isinstance(v, Var) for name in v.decisions)

    def map(self, change: Callable[[Attribute], Attribute]) -> Self:
        """The operator with ``change`` applied to every value; itself if no value changes. Values are not checked."""
        changed = {name: change(value) for name, value in self.attributes}
        if all(changed[name] is value for name, value in self.attributes):
            return self
        return replace(self, **changed)

    @property
    def kernel(self) -> int | None:
        """The side of its window, where it has one."""
        return None

    @property
    def first_channel(self) -> int | None:
        """The first of the channels that it slices from its input; None where it does not slice."""
        return None

    @property
    def vocabulary(self) -> int | None:
        """The number of tokens, which the numbers of its first input are below; None where that has real numbers."""
        return None

    @property
    def role(self) -> roles.Role | None:
        """Its role in fused sums; None where it cannot be fused."""
        return None

    # ------------------------------------------------------------ shapes

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        """Why it cannot be applied, as the end of a sentence that starts with its name; None where it can."""
        if len(inputs[0].dims) not in self.ranks:
            return f"does not take a tensor of shape {inputs[0]}"
        return None

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...] | None:
        """The shape of its output by its own rule; None for an extent that the rule leaves open, or for all of it.

        The prelude states the same rule in the language.
        """
        return inputs[0].dims

    # ------------------------------------------------------------ costs

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        """The number of trainable parameters."""
        return 0

    def macs(self, inputs: Sequence[Ints], output: Ints) -> int:
        """Multiply-adds of one image."""
        return 0

    def memory(self, inputs: Sequence[Ints], output: Ints) -> int:
        """Bytes of the tensors that it makes for one image, without those inside its module."""
        return 0 if self.view else FLOAT32 * math.prod(output)

    # ------------------------------------------------------------ torch

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        """The module that computes it on its inputs, in order; batches come first. One with a `torch_call` has none."""
        raise NotImplementedError(f"'{self.called}' has no torch module")

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> tuple[TorchModule, ...] | None:
        """The modules of plain torch that compute it one after the other, for source code; None where there are none.

        Those of `compiler.backend.torch_modules` are copied into the file.
        """
        return None if self.torch_call is not None else (self.torch_module(inputs, output),)

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression | None:
        """The expression that computes it in source code; None where it needs a module."""
        return None

    def part(self, name: str, whole: Ints, shape: Ints, smaller: Self) -> TensorPart:
        """The part of a parameter or buffer that a smaller application uses: first channels, the middle of a kernel.

        Args:
            name: the name of the tensor in the module of this operator.
            whole: its shape.
            shape: its shape in the module of ``smaller``.
            smaller: the same operator with smaller parameters.
        """
        starts = tuple(0 if axis < 2 else (size - shape[axis]) // 2 for axis, size in enumerate(whole))
        return TensorPart(whole, starts, shape, shape)


@dataclass(frozen=True)
class TensorPart:
    """A part of a tensor: its view of shape ``view``, sliced from ``starts`` with ``sizes``, in the shape ``shape``."""

    view: Ints
    starts: Ints
    sizes: Ints
    shape: Ints


def _kind(hint: object) -> Kind:
    """The kind that an annotation declares."""
    for item in get_args(hint)[1:]:
        if isinstance(item, Whole | Flag | Share):
            return item
    raise TypeError(f"{hint} declares no kind of parameter")


def widest(value: Extent) -> int:
    """A width as a number, at its largest where it is undecided.

    Raises:
        ValueError: it is open.
    """
    if isinstance(value, Open):
        raise ValueError("a width is open")
    return int(largest(value))
