"""Genotypes in a text: one alone, one by its name out of a program, or the last one of a log.

    text -> literal values with spans (`literals`) -> the form of each (`forms`) -> parts of a genotype (`model`)

Nothing is evaluated, and everything that is wrong is reported with its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.source import Source, Span

from .forms import FORMS, form_of
from .forms.base import Form
from .literals import Call, Items, Literal, Mapping, Name, Other, Statement, Text, statements, stripped
from .model import Cells, Genotype, Part
from .problems import InvalidPartError, Report

LONGEST = 1_000_000
"""Characters of a text; a published genotype has about a thousand, a log of a search some ten thousand."""

_TRIES = 100
"""Places of a log that are read before none is believed to hold a genotype."""

_BRACKETS = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|[()\[\]{}]")

_TOGETHER = {"stages", "cells"}
"""The forms that stand in one text as one genotype: stages, and the cells in them."""


@dataclass(frozen=True)
class _Candidate:
    """A value of a text that is a genotype by its form."""

    name: str | None
    value: Literal
    form: Form
    span: Span


def read_genotype(text: str, name: str, wanted: str | None = None) -> tuple[Genotype | None, list[Diagnostic]]:
    """The genotype in a text, or None, and all that is to say about it; errors only where it is None.

    Args:
        text: a genotype in any of the forms, a program that assigns genotypes to names, or lines of a log.
        name: how messages call the text.
        wanted: the name of the genotype to read, where the text has several.
    """
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    report = Report()
    genotype = None
    try:
        title, chosen = _chosen(_candidates(source), source, wanted, report)
        genotype = _genotype(title, chosen, report)
    except InvalidPartError as error:
        report.caught(error)
    return (None if report.failed else genotype), report.sorted()


def is_text(given: str) -> bool:
    """Whether an argument of a command is a genotype itself, and not the path of a file that holds one."""
    whole = stripped(Span(Source("", given), 0, len(given)))
    return any(sign in given for sign in "(|{[") or any(form.bare(whole) is not None for form in FORMS)


def _genotype(title: str | None, chosen: Sequence[_Candidate], report: Report) -> Genotype:
    parts: list[Part] = []
    for candidate in chosen:
        try:
            part = candidate.form.read(candidate.value, report)
        except InvalidPartError as error:
            report.caught(error)
            continue
        except RecursionError:
            message = "this cannot be read: it is nested too deeply"
            raise InvalidPartError(Code.SYNTAX, candidate.span, message) from None
        parts += [] if part is None else [part]
    return Genotype(tuple(sorted(parts, key=lambda part: isinstance(part, Cells))), title)


# ---------------------------------------------------------------- which genotype


def _chosen(
    found: Sequence[_Candidate], source: Source, wanted: str | None, report: Report
) -> tuple[str | None, Sequence[_Candidate]]:
    """The name of the genotype to read, and its candidates."""
    names = list(dict.fromkeys(item.name for item in found if item.name is not None))
    if wanted is not None:
        named = [item for item in found if item.name == wanted]
        if not named:
            hint = suggest(wanted, names) or (f"it has {', '.join(names)}" if names else None)
            raise InvalidPartError(Code.UNKNOWN_NAME, Span(source, 0, 0), f"this text has no genotype '{wanted}'", hint)
        return wanted, _last(named, report)
    if len(found) == 2 and {item.form.name for item in found} == _TOGETHER:
        return next((item.name for item in found if item.name), None), found
    different = list({item.value.span.start: item for item in found}.values())
    if len({item.name for item in different} - {None}) > 1:
        second = next(item for item in different if item.name not in (None, different[0].name))
        message = f"this text has several genotypes: {', '.join(names)}"
        raise InvalidPartError(Code.DUPLICATE, second.span, message, f"name the one to read: `--name {names[0]}`")
    return next(iter(names), None), _last(different, report)


def _last(found: Sequence[_Candidate], report: Report) -> Sequence[_Candidate]:
    """The last genotype of several, as a log has them."""
    chosen = found[-1:]
    if len(found) > 1 and {item.form.name for item in found[-2:]} == _TOGETHER:
        chosen = found[-2:]
    if len(found) > len(chosen):
        report.warn(chosen[0].span, "the last genotype of this text is read, not those before it")
    return chosen


# ---------------------------------------------------------------- what a text holds


def _candidates(source: Source) -> list[_Candidate]:
    """All genotypes of a text, at least one.

    Raises:
        InvalidPartError: there is none.
    """
    whole = _content(source)
    if not whole.text:
        raise InvalidPartError(Code.MISSING, whole, "there is no genotype in an empty text")
    if len(whole.text) > LONGEST:
        raise InvalidPartError(Code.LARGE, Span(source, 0, 0), f"a genotype of more than {LONGEST:,} characters")
    for form in FORMS:
        value = form.bare(whole)
        if value is not None:
            return [_Candidate(None, value, form, whole)]
    problem: InvalidPartError | None = None
    found: list[_Candidate] = []
    try:
        program = statements(whole)
        found = _assigned(program)
    except InvalidPartError as error:
        problem, program = error, ()
    found = found or _logged(whole)
    if not found:
        raise problem or _no_genotype(program, whole)
    return found


def _content(source: Source) -> Span:
    """A text without the white space and the comments that it starts with."""
    start = re.match(r"(?:\s*(?:#[^\n]*(?:\n|\Z))?)*", source.text)
    return stripped(Span(source, start.end() if start else 0, len(source.text)))


def _assigned(program: Sequence[Statement]) -> list[_Candidate]:
    """The genotypes of a program, by name; a name that stands for another has its genotype too."""
    found: list[_Candidate] = []
    values: dict[str, _Candidate] = {}
    for line in program:
        known = values.get(line.value.word) if isinstance(line.value, Name) else None
        made = list(_within(line.name, line.value, line.span))
        if known is not None and line.name is not None:
            made = [_Candidate(line.name, known.value, known.form, line.span)]
        found += made
        values |= {item.name: item for item in made if item.name is not None}
    return found


def _within(name: str | None, value: Literal, span: Span) -> Iterator[_Candidate]:
    """The genotypes of a value: itself, or those that a dictionary or a list holds."""
    form = form_of(value)
    if form is not None:
        yield _Candidate(name, value, form, span)
    elif isinstance(value, Mapping):
        inside = [(entry, form_of(entry.value)) for entry in value.entries]
        yield from (_Candidate(entry.name, entry.value, form, entry.span) for entry, form in inside if form is not None)
    elif isinstance(value, Items):
        inner = [(item, form_of(item)) for item in value.items]
        yield from (_Candidate(name, item, form, item.span) for item, form in inner if form is not None)


def _no_genotype(program: Sequence[Statement], whole: Span) -> InvalidPartError:
    """The error of a text without any genotype."""
    if not program:
        return InvalidPartError(Code.MISSING, whole, "there is no genotype in this text")
    value = program[0].value
    if isinstance(value, Call):
        hint = "known: Genotype, Genotype2, Genotype3"
        return InvalidPartError(
            Code.UNKNOWN_NAME, value.called, f"unknown kind of genotype '{value.called.text}'", hint
        )
    if isinstance(value, Other) and value.span == program[0].span:
        message = "a genotype is `Genotype(...)`, `NAME = Genotype(...)` or a string of NAS-Bench-201"
        return InvalidPartError(Code.KIND, value.span, message)
    return InvalidPartError(Code.KIND, value.span, "a genotype is `Genotype(...)` or a string of NAS-Bench-201")


# ---------------------------------------------------------------- logs


def _logged(whole: Span) -> list[_Candidate]:
    """The last genotype among the lines of a log, with the one before it."""
    for weak in (False, True):
        starts = [match for form in FORMS if form.weak is weak for match in form.start.finditer(whole.text)]
        found: list[_Candidate] = []
        for match in sorted(starts, key=lambda match: match.start(), reverse=True)[:_TRIES]:
            value = _value_at(whole, match)
            form = None if value is None else form_of(value)
            if value is not None and form is not None:
                found.insert(0, _Candidate(None, value, form, value.span))
            if len(found) == 3:
                break
        if found:
            return found
    return []


def _value_at(whole: Span, match: re.Match[str]) -> Literal | None:
    """The value that starts at a place of a log, if all of it is there."""
    start = whole.start + match.start()
    bracket = re.search(r"[(\[{]", match[0])
    if bracket is None:
        span = Span(whole.source, start, whole.start + match.end())
        return Text(span.text, span, span)
    end = _closing(whole.source.text, start + bracket.start())
    if end is None:
        return None
    try:
        program = statements(Span(whole.source, start, end))
    except InvalidPartError:
        return None
    return program[0].value if len(program) == 1 else None


def _closing(text: str, start: int) -> int | None:
    """The end of the brackets that open at a place; strings may hold any."""
    depth = 0
    for match in _BRACKETS.finditer(text, start, start + LONGEST // 10):
        sign = match[0]
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0:
            return match.end()
    return None
