"""Parameters of primitives: the kind and range of each, declared once as an annotation of the record that holds it.

    k: Annotated[int, Whole("the kernel size")]

From it come the check of a program's values, the message where one is wrong, and whether a width may be undecided.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypeAlias

from compiler.ir.shape import Extent
from compiler.ir.undecided import Open, Var

Scalar: TypeAlias = int | float | bool | str

Attribute: TypeAlias = Scalar | Extent
"""The value of a parameter in the graph: plain, or a width that is not decided yet."""


class ParameterError(ValueError):
    """A parameter has a value of the wrong kind, or outside of its range.

    ``name`` is the parameter, ``noun`` says what it is where the name does not, ``wanted`` completes "it must be",
    ``value`` is the first value that is not.
    """

    def __init__(self, name: str, noun: str, wanted: str, value: object) -> None:
        super().__init__(name, noun, wanted, value)
        self.name, self.noun, self.wanted, self.value = name, noun, wanted, value

    def sentence(self, operation: str, shown: str) -> str:
        """The error as a sentence about an operation, with the value as the language writes it."""
        noun = f", {self.noun}," if self.noun else ""
        return f"parameter '{self.name}' of '{operation}'{noun} must be {self.wanted}, not {shown}"


class SignatureError(ValueError):
    """A declaration and the primitive that it names have different parameters."""


@dataclass(frozen=True)
class Whole:
    """A whole number of at least ``least``; as a ``width`` it may be undecided or open."""

    noun: str = ""
    least: int = 1
    width: bool = False

    @property
    def wanted(self) -> str:
        """The values that are allowed, as text."""
        return f"a whole number of at least {self.least}"

    def allows(self, value: object) -> bool:
        """Whether a plain value is of this kind and in its range."""
        if isinstance(value, Open):
            return self.width
        return isinstance(value, int) and not isinstance(value, bool) and value >= self.least


@dataclass(frozen=True)
class Flag:
    """A truth value."""

    noun: str = ""
    width: bool = False
    wanted: str = "true or false"

    def allows(self, value: object) -> bool:
        """Whether a plain value is of this kind."""
        return isinstance(value, bool)


@dataclass(frozen=True)
class Share:
    """A share of a whole that leaves something of it: from 0 to below 1."""

    noun: str = ""
    width: bool = False
    wanted: str = "a number from 0 to below 1"

    def allows(self, value: object) -> bool:
        """Whether a plain value is of this kind and in its range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1


Kind: TypeAlias = "Whole | Flag | Share"


@dataclass(frozen=True)
class Parameter:
    """A parameter of a primitive; without a default (None) it must be given."""

    name: str
    kind: Kind
    default: Scalar | None = None

    def check(self, value: object) -> None:
        """Check a value, or all the values that an undecided one may take.

        Raises:
            ParameterError: one of them is of another kind or outside of the range.
        """
        values = value.values if isinstance(value, Var) else (value,)
        for item in values:
            if not self.kind.allows(item):
                raise ParameterError(self.name, self.kind.noun, self.kind.wanted, item)


KernelSize = Annotated[int, Whole("the kernel size")]
Stride = Annotated[int, Whole()]
Dilation = Annotated[int, Whole()]
Padding = Annotated[int, Whole("the padding", least=0)]
Channels = Annotated[Extent, Whole("the number of output channels", width=True)]
Groups = Annotated[Extent, Whole(width=True)]
