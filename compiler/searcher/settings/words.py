"""The forms of settings in a text: words with arguments, ``sgd(lr = cosine(0.1, 0))``, as frozen models.

The models alone define the language of settings: a field whose type is a union of `Word` classes takes any of their
words, so that adding a word is adding its class to that union. No torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.fields import FieldInfo

from hdas_dsl.text.source import NOWHERE, Span


@dataclass(frozen=True)
class Applied:
    """A word applied to arguments; a word by itself has none.

    ``spans`` says where the arguments stand, by position or name; where it is silent, the word's own span is shown.
    """

    name: str
    args: tuple[Value, ...] = ()
    kwargs: Mapping[str, Value] = field(default_factory=dict)
    span: Span = field(default=NOWHERE, compare=False)
    spans: Mapping[int | str, Span] = field(default_factory=dict, compare=False)


Value = int | float | bool | str | tuple["Value", ...] | Applied | None
"""The value of a setting. None only from Python, and only where the field allows it: no text says it."""

LARGEST = 1e30
"""The largest real number of a setting."""

# The description of a type is what an error says a value must be.
Count = Annotated[int, Field(ge=1, description="a whole number, at least 1")]
Amount = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
NonNegative = Annotated[float, Field(ge=0, description="a number, 0 or more")]
Share = Annotated[float, Field(gt=0, lt=1, description="a number between 0 and 1, both excluded")]
Fraction = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
Size = Annotated[int | None, Field(ge=1, description="a whole number, at least 1")]
Text = Annotated[str, Field(description="a text in quotes")]
Within = Annotated[str | None, Field(description="the name of a cell in quotes")]
Flag = Annotated[bool, Field(description="true or false")]


class Setting(BaseModel):
    """Frozen, typed fields that a text may set, and that are written back in the form they are read in."""

    word: ClassVar[str]
    """Its name in the language."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

    @field_validator("*")
    @classmethod
    def _is_computed_with(cls, value: object) -> object:
        """Numbers that float32 cannot hold are of no use to any setting."""
        if isinstance(value, float) and abs(value) > LARGEST:
            raise ValueError(f"{value:g} is beyond the numbers that a run computes with: at most {LARGEST:g}")
        return value

    @classmethod
    def former(cls) -> Mapping[str, str]:
        """Fields by names that they had before, which texts may still use, and are warned about."""
        return {}

    def replace(self, name: str, value: object) -> Self:
        """A checked copy with another value for one field."""
        return type(self)(**{**dict(self), name: value})

    def written(self, full: bool) -> dict[str, str]:
        """The text of each field: of all, or of those only that differ from their defaults."""
        fields = type(self).model_fields
        values = {name: value for name, value in self if value is not None and (full or value != fields[name].default)}
        return {name: show(value, full) for name, value in values.items()}


class Word(Setting):
    """A setting that is said by a word with arguments, each argument a field."""

    positional: ClassVar[tuple[str, ...]] = ()
    """The fields that are always written, first and without their names; the others follow by name."""
    by_number: ClassVar[bool] = False
    """Whether a number alone says this word with one argument."""
    by_text: ClassVar[bool] = False
    """Whether a text alone says this word with one argument."""
    by_list: ClassVar[bool] = False
    """Whether all arguments without names together are its first argument, a tuple: ``proxy(synflow, snip)``."""
    by_item: ClassVar[bool] = False
    """Whether the name of an item of a text says this word, ``skip_connect(0.3)``: the name is its first argument."""

    @classmethod
    def words(cls) -> Mapping[str, type[Word]]:
        """The words that a field of this class takes."""
        return {cls.word: cls}

    @classmethod
    def order(cls) -> tuple[str, ...]:
        """The fields in the order in which arguments without a name bind to them."""
        return (*cls.positional, *(name for name in cls.model_fields if name not in cls.positional))

    @classmethod
    def is_said_by_name(cls) -> bool:
        """Whether all fields but the first have defaults."""
        return not any(info.is_required() for name, info in cls.model_fields.items() if name != cls.order()[0])

    def describe(self, full: bool = False) -> str:
        """The word as the language writes it; ``full`` also names the arguments that have their defaults."""
        first = [show(getattr(self, name), full) for name in self.positional]
        if self.by_list:
            first = [show(item, full) for item in getattr(self, self.positional[0])]
        if self.by_item:
            name = str(getattr(self, self.positional[0]))
            others = (f"{n} = {text}" for n, text in self.written(full).items() if n not in self.positional)
            rest = [*first[1:], *others]
            return f"{name}({', '.join(rest)})" if rest else name
        rest = [f"{name} = {text}" for name, text in self.written(full).items() if name not in self.positional]
        if (self.by_number or self.by_text) and not self.written(False).keys() - set(self.positional):
            return first[0]
        return f"{self.word}({', '.join([*first, *rest])})" if first or rest else self.word


class Named(StrEnum):
    """A closed list of bare words."""

    @classmethod
    def aliases(cls) -> Mapping[str, str]:
        """Other spellings, and the words they stand for."""
        return {}

    @classmethod
    def spelled(cls, spelling: str) -> Self | None:
        """The word of a spelling; None where no word is spelled so."""
        spelling = cls.aliases().get(spelling, spelling)
        return cls(spelling) if spelling in set(cls) else None


def show(value: object, full: bool = False) -> str:
    """A value as the language writes it."""
    match value:
        case Word():
            return value.describe(full)
        case Named():
            return value.value
        case Applied():
            return value.span.text or value.name
        case bool():
            return "true" if value else "false"
        case str():
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
        case tuple():
            return f"({', '.join(show(item, full) for item in value)})"
        case float():
            return _number(value)
    return str(value)


def _number(value: float) -> str:
    if value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if abs(value) >= 1e-3:
        return repr(value)
    return f"{Decimal(repr(value)).normalize():e}"  # 3e-4


def _members(info: FieldInfo) -> tuple[object, ...]:
    return get_args(info.annotation) or (info.annotation,)


def menu_of(info: FieldInfo) -> dict[str, type[Word]]:
    """The words that a field takes; none for a field of plain values."""
    menu: dict[str, type[Word]] = {}
    for member in _members(info):
        if isinstance(member, type) and issubclass(member, Word):
            menu |= member.words()
    return menu


def names_of(info: FieldInfo) -> type[Named] | None:
    """The closed list of bare words of which a field takes one, or a tuple of some; None for any other field."""
    return next((m for m in _members(info) if isinstance(m, type) and issubclass(m, Named)), None)
