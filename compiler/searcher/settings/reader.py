"""How named values become a model of settings. Every error is a `Diagnostic`; none of pydantic's own text is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TypeVar, get_origin

from pydantic import ValidationError

from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity, suggest
from hdas_dsl.text.source import NOWHERE, Span

from .schedules import Schedule
from .words import Applied, Named, Setting, Value, Word, menu_of, names_of, show

S = TypeVar("S", bound=Setting)
Given = Mapping[str, tuple[Value, Span]]
"""Named values and where each stands."""


class ConflictError(ValueError):
    """Settings that are right by themselves and do not go together; raised by the validator of a model.

    ``fields`` are their names: an error is placed at the first that a text gives, with the next as the other place.
    """

    def __init__(self, message: str, *fields: str) -> None:
        super().__init__(message)
        self.fields = fields


class Reader:
    """Reads values into models and collects everything that is wrong with them."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    @property
    def errors(self) -> list[Diagnostic]:
        """The diagnostics that are not warnings."""
        return [item for item in self.diagnostics if item.severity is Severity.ERROR]

    def section(self, model: type[S], settings: Given) -> S:
        """A model all of whose fields have defaults; a wrong setting is reported and keeps its default.

        What does not go together with such a default is none of the text's mistakes, and is not reported.
        """
        values = self.fields(model, settings)
        lost = frozenset(settings.keys() - values.keys())
        while wrong := self.check(model, values, settings, NOWHERE, lost):  # Conflicts show once fields are right.
            left = {name: value for name, value in values.items() if name not in wrong}
            values = left if len(left) < len(values) else {}
            lost |= set(wrong)
        return model(**values)

    def fields(self, model: type[Setting], given: Given) -> dict[str, object]:
        """Each field as its model takes it, plain values still unchecked; those that cannot be read are left out."""
        values: dict[str, object] = {}
        for written, (value, span) in given.items():
            name = self._current(model, written, given, span)
            if (info := model.model_fields.get(name)) is None:
                self._unknown(f"{model.word} has no '{name}'", name, model.model_fields, span)
                continue
            what = f"'{name}' of {model.word}"
            if menu := menu_of(info):
                word = self._word(menu, what, value, span)
                values |= {} if word is None else {name: word}
            elif names := names_of(info):
                spelled = self._names(names, what, value, span, many=get_origin(info.annotation) is tuple)
                values |= {} if spelled is None else {name: spelled}
            else:
                values[name] = value
        return values

    def _current(self, model: type[Setting], name: str, given: Given, span: Span) -> str:
        """The name of a field now; a former one is warned about, and wrong beside the one of now."""
        if (now := model.former().get(name)) is None:
            return name
        if now in given:
            self._wrong(f"{model.word} gets '{now}' twice: '{name}' is its former name", span)
        else:
            message = f"'{name}' of {model.word} is now called '{now}'"
            self.diagnostics.append(Diagnostic(Code.RENAMED, span, message, severity=Severity.WARNING))
        return now

    def _names(
        self, names: type[Named], what: str, value: Value, span: Span, *, many: bool
    ) -> Named | tuple[Named, ...] | None:
        if not many:
            return self._name(names, what, value, span)
        each = [self._name(names, what, item, span) for item in (value if isinstance(value, tuple) else (value,))]
        found = tuple(item for item in each if item is not None)
        return found if len(found) == len(each) else None

    def _name(self, names: type[Named], what: str, value: Value, span: Span) -> Named | None:
        spelling = value.name if isinstance(value, Applied) and not (value.args or value.kwargs) else show(value)
        if (word := names.spelled(spelling)) is None:
            self._unknown(f"{what} cannot be {show(value)}", spelling, names, span)
        return word

    def _word(self, menu: Mapping[str, type[Word]], what: str, value: Value, span: Span) -> Word | None:
        by_number = next((model for model in menu.values() if model.by_number), None)
        if by_number and isinstance(value, int | float) and not isinstance(value, bool):
            return self._apply(by_number, Applied(by_number.word, (value,)), span)
        by_text = next((model for model in menu.values() if model.by_text), None)
        if by_text and isinstance(value, str):
            return self._apply(by_text, Applied(by_text.word, (value,)), span)
        if not isinstance(value, Applied):
            self._wrong(f"{what} cannot be {show(value)}", span, f"known: {', '.join(sorted(menu))}")
            return None
        where = span if value.span is NOWHERE else value.span
        by_item = next((model for model in menu.values() if model.by_item), None)
        if by_item is not None and value.name not in menu and (value.args or by_item.is_said_by_name()):
            spans = {at + 1 if isinstance(at, int) else at: there for at, there in value.spans.items()}
            return self._apply(by_item, replace(value, args=(value.name, *value.args), spans=spans), where)
        if value.name not in menu:
            self._unknown(f"{what} cannot be '{value.name}'", value.name, menu, where)
            return None
        return self._apply(menu[value.name], value, where)

    def _apply(self, model: type[Word], applied: Applied, span: Span) -> Word | None:
        before = len(self.errors)
        order = model.order()
        given: dict[str, tuple[Value, Span]] = {}
        if model.by_list and applied.args:
            applied = replace(applied, args=(applied.args,), spans={**applied.spans, 0: span})
        for index, (name, value) in enumerate(zip(order, applied.args, strict=False)):
            given[name] = (value, applied.spans.get(index, span))
        if len(applied.args) > len(order):
            self._wrong(f"too many arguments for {model.word}", span, f"it takes: {', '.join(order) or 'none'}")
        for name, value in applied.kwargs.items():
            if name in given:
                self._wrong(f"{model.word} gets '{name}' twice", applied.spans.get(name, span))
            given[name] = (value, applied.spans.get(name, span))
        values = self.fields(model, given)
        if len(self.errors) > before or self.check(model, values, given, span):
            return None
        return model(**values)

    def check(
        self,
        model: type[Setting],
        values: Mapping[str, object],
        given: Given,
        span: Span,
        lost: frozenset[str] = frozenset(),
    ) -> list[str]:
        """Report what the model refuses, once a field; the names of the fields that it refuses.

        Conflicts with fields that are ``lost``, since their own values are wrong, are not reported.
        """
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
                if not lost.intersection(cause.fields):
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


class _Scheduled(Setting):
    """A number that may follow a schedule."""

    word = "weight"
    schedule: Schedule


def read_schedule(value: Value, span: Span) -> tuple[Schedule | None, list[Diagnostic]]:
    """A schedule by itself, such as the weight of a preference, or what is wrong with it."""
    reader = Reader()
    found = reader.fields(_Scheduled, {"schedule": (value, span)})
    return (_Scheduled.model_validate(found).schedule if found else None), reader.diagnostics


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
    if reader.errors:
        wrong = reader.errors[0]
        raise OverrideError(f"{wrong.message}; {wrong.hint}" if wrong.hint else wrong.message, path)


def _closest(wrong: str, known: Iterable[str]) -> str:
    names = sorted(known)
    return suggest(wrong, names) or f"known: {', '.join(names)}"
