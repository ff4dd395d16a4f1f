"""Terms: the values that constructors in a generated file take, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.primitives.torch_form import Role


class Named:
    """A class of the file, which gets its name when all classes are known."""

    name: str


@dataclass(frozen=True)
class Ref:
    """An expression of parameters, or a tuple."""

    text: str


@dataclass(frozen=True)
class Arg:
    """An argument of a constructor, or a number in an expression; it is not written where it is its default.

    ``role`` is its meaning, ``short`` what the language calls it. One that is ``named`` is a parameter of an operation
    even where all its blocks agree.
    """

    name: str
    value: Term
    positional: bool = False
    default: Term | None = None
    role: Role = Role.NUMBER
    short: str = ""
    named: bool = False


@dataclass(frozen=True)
class New:
    """A module made: of torch, of `backend.torch_modules` (whose text is copied), or of a class of the file."""

    kind: str | Named
    args: tuple[Arg, ...] = ()
    has_state: bool = True
    """Whether it has parameters or buffers."""


Term: TypeAlias = "int | float | bool | str | New | Ref | None"
"""A value in a constructor: a number, another module, or the text of an expression."""


class Figure(str):
    """The text of a number in an expression; in a slice, spaces stand around the colon of what is more than a word."""

    def __format__(self, part: str) -> str:
        text = str(self)
        space = "" if text.isalnum() else " "
        return {"start": f"{text}{space}:", "stop": f":{space}{text}", "step": f"::{space}{text}", "": text}[part]
