"""How a word with arguments in a text, ``sgd(lr = cosine(0.1, 0))``, becomes a frozen model, and a model text again.

What may be said stands in the models alone: a field whose type is a union of `Word` classes takes any of their words,
so that adding a word is adding its class to that union. Every error is a `Diagnostic`; none of pydantic's own text
reaches a user.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
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
"""What a setting may be given; None only where its field allows it, and only from Python: no text says it."""

# The description of a type is what an error says a value must be.
Count = Annotated[int, Field(ge=1, description="a whole number, at least 1")]
Amount = Annotated[int, Field(ge=0, description="a whole number, 0 or more")]
Positive = Annotated[float, Field(gt=0, description="a number above 0")]
NonNegative = Annotated[float, Field(ge=0, description="a number, 0 or more")]
Share = Annotated[float, Field(gt=0, lt=1, description="a number between 0 and 1, both excluded")]
Fraction = Annotated[float, Field(ge=0, lt=1, description="a number from 0 to below 1")]
Size = Annotated[int | None, Field(ge=1, description="a whole number, at least 1")]
Text = Annotated[str, Field(description="a text in quotes")]
Flag = Annotated[bool, Field(description="true or false")]


class ConflictError(ValueError):
    """Settings that are right by themselves and do not go together; raised by the validator of a model.

    ``fields`` are their names: an error is placed at the first that a text gives, with the next as the other place.
    """

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


class Setting(BaseModel):
    """Frozen, typed fields that a text may set, and that are written back in the form they are read in."""

    word: ClassVar[str]
    """What the language calls it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, defer_build=True)

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

    @classmethod
    def words(cls) -> Mapping[str, type[Word]]:
        """What may be said where this class is expected."""
        return {cls.word: cls}

    @classmethod
    def order(cls) -> tuple[str, ...]:
        """The fields in the order in which arguments without a name bind to them."""
        return (*cls.positional, *(name for name in cls.model_fields if name not in cls.positional))

    def describe(self, full: bool = False) -> str:
        """The word as the language writes it; ``full`` also names the arguments that have their defaults."""
        first = [show(getattr(self, name), full) for name in self.positional]
        rest = [f"{name} = {text}" for name, text in self.written(full).items() if name not in self.positional]
        if self.by_number and not self.written(False).keys() - set(self.positional):
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
    return f"{Decimal(repr(value)).normalize():e}"  # 3e-4, as people write it


S = TypeVar("S", bound=Setting)
Given = Mapping[str, tuple[Value, Span]]
"""Named values and where each stands."""


class Reader:
    """Reads values into models and collects everything that is wrong with them."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def section(self, model: type[S], settings: Given) -> S:
        """A model all of whose fields have defaults; a wrong setting is reported and keeps its default."""
        values = self.fields(model, settings)
        wrong = self.check(model, values, settings, NOWHERE)
        return model(**{name: value for name, value in values.items() if name not in wrong})

    def fields(self, model: type[Setting], given: Given) -> dict[str, object]:
        """Each field as its model takes it, plain values still unchecked; those that cannot be read are left out."""
        values: dict[str, object] = {}
        for name, (value, span) in given.items():
            if (info := model.model_fields.get(name)) is None:
                self._unknown(f"{model.word} has no '{name}'", name, model.model_fields, span)
                continue
            what = f"'{name}' of {model.word}"
            if menu := menu_of(info):
                word = self._word(menu, what, value, span)
                values |= {} if word is None else {name: word}
            elif names := names_of(info):
                spelled = self._name(names, what, value, span)
                values |= {} if spelled is None else {name: spelled}
            else:
                values[name] = value
        return values

    def _name(self, names: type[Named], what: str, value: Value, span: Span) -> Named | None:
        spelling = value.name if isinstance(value, Applied) and not (value.args or value.kwargs) else show(value)
        if (word := names.spelled(spelling)) is None:
            self._unknown(f"{what} cannot be {show(value)}", spelling, names, span)
        return word

    def _word(self, menu: Mapping[str, type[Word]], what: str, value: Value, span: Span) -> Word | None:
        by_number = next((model for model in menu.values() if model.by_number), None)
        if by_number and isinstance(value, int | float) and not isinstance(value, bool):
            return self._apply(by_number, Applied(by_number.word, (value,)), span)
        if not isinstance(value, Applied):
            self._wrong(f"{what} cannot be {show(value)}", span, f"known: {', '.join(sorted(menu))}")
            return None
        where = span if value.span is NOWHERE else value.span
        if value.name not in menu:
            self._unknown(f"{what} cannot be '{value.name}'", value.name, menu, where)
            return None
        return self._apply(menu[value.name], value, where)

    def _apply(self, model: type[Word], applied: Applied, span: Span) -> Word | None:
        before = len(self.diagnostics)
        order = model.order()
        given: dict[str, tuple[Value, Span]] = {}
        for index, (name, value) in enumerate(zip(order, applied.args, strict=False)):
            given[name] = (value, applied.spans.get(index, span))
        if len(applied.args) > len(order):
            self._wrong(f"too many arguments for {model.word}", span, f"it takes: {', '.join(order) or 'none'}")
        for name, value in applied.kwargs.items():
            if name in given:
                self._wrong(f"{model.word} gets '{name}' twice", applied.spans.get(name, span))
            given[name] = (value, applied.spans.get(name, span))
        values = self.fields(model, given)
        if len(self.diagnostics) > before or self.check(model, values, given, span):
            return None
        return model(**values)

    def check(self, model: type[Setting], values: Mapping[str, object], given: Given, span: Span) -> list[str]:
        """Report what the model refuses, once a field; the names of the fields that it refuses."""
        try:
            model.model_validate(values)
        except ValidationError as refusal:
            errors = {str(error["loc"][0]) if error["loc"] else "": error for error in refusal.errors()}
        else:
            return []
        for name, error in errors.items():
            where = given[name][1] if name in given else span
            cause = error.get("ctx", {}).get("error")
            if isinstance(cause, ConflictError):
                self._conflict(cause, given, span)
                return list(cause.fields)
            if error["type"] == "value_error":
                self._wrong(str(cause), where)
            elif error["type"] == "missing":
                self._wrong(f"{model.word} needs '{name}'", where)
            else:
                expected = model.model_fields[name].description
                self._wrong(f"'{name}' of {model.word} must be {expected}, not {show(values[name])}", where)
        return list(errors)

    def _conflict(self, conflict: ConflictError, given: Given, span: Span) -> None:
        """Report settings that do not go together, with the places of both where a text gives both."""
        places = [(name, given[name][1]) for name in conflict.fields if name in given]
        where = places[0][1] if places else span
        other = (places[1][1], f"'{places[1][0]}' is set here") if len(places) > 1 else None
        self.diagnostics.append(Diagnostic(Code.VALUE, where, str(conflict), other=other))

    def _wrong(self, message: str, span: Span, hint: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(Code.VALUE, span, message, hint))

    def _unknown(self, message: str, wrong: str, known: Iterable[str], span: Span) -> None:
        self.diagnostics.append(Diagnostic(Code.SETTING, span, message, _closest(wrong, known)))


class OverrideError(ValueError):
    """A setting cannot be changed so; ``path`` is that of the change."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.path = path


def override(model: S, *changes: tuple[str, Value]) -> S:
    """The model with some fields read anew: ``weights.lr`` is field ``lr`` of field ``weights``.

    All changes are made before the whole is checked, since some go together only with others.

    Raises:
        OverrideError: the first thing that is wrong, in one sentence.
    """
    values = dict(model)
    paths: dict[str, str] = {}
    for path, value in changes:
        name, _, rest = path.partition(".")
        inner = values.get(name)
        paths[name] = path
        if not rest or name not in values:
            reader = Reader()
            values |= reader.fields(type(model), {name: (value, NOWHERE)})
            _raise_first(reader, path)
        elif isinstance(inner, Setting):
            try:
                values[name] = override(inner, (rest, value))
            except OverrideError as error:
                raise OverrideError(str(error), path) from None
        else:
            raise OverrideError(f"'{name}' of {model.word} is a plain value and has no '{rest}'", path)
    reader = Reader()
    refused = reader.check(type(model), values, {}, NOWHERE)
    _raise_first(reader, next((paths[name] for name in refused if name in paths), ""))
    return type(model)(**values)


def _raise_first(reader: Reader, path: str) -> None:
    if reader.diagnostics:
        wrong = reader.diagnostics[0]
        raise OverrideError(f"{wrong.message}; {wrong.hint}" if wrong.hint else wrong.message, path)


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
    return next((m for m in _members(info) if isinstance(m, type) and issubclass(m, Named)), None)


def _closest(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return suggest(wrong, names) or f"known: {', '.join(names)}"
