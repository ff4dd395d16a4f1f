"""Text to literal values with spans. Python's parser reads the text, nothing evaluates it.

Wrappers that programs print around a value are removed: ``np.int64(0)``, ``array([2, 3])``, ``tensor(1).item()``,
``list(range(2, 6))``. JSON is read too: ``true``, ``false`` and ``null`` are names to Python.
"""

from __future__ import annotations

import ast as python
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Source, Span

from .problems import InvalidPartError

_WRAPPERS = re.compile(r"u?int\d*|float\d*|bool_?|str_?|array|asarray|tensor|Tensor|tuple|list")
"""Calls that stand for their argument."""

_DICTIONARIES = ("dict", "OrderedDict", "defaultdict")

_LEFTOVERS = {"item", "tolist", "numpy", "cpu", "detach"}
"""Methods without arguments that give the value itself."""

_WORDS = {"true": True, "false": False, "null": None}
"""The names of JSON for the constants of Python."""


@dataclass(frozen=True)
class Text:
    """A string; ``inner`` is what stands between its quotes."""

    value: str
    span: Span
    inner: Span


@dataclass(frozen=True)
class Whole:
    """A whole number."""

    value: int
    span: Span


@dataclass(frozen=True)
class Real:
    """A number with a decimal point or an exponent."""

    value: float
    span: Span


@dataclass(frozen=True)
class Flag:
    """True or False."""

    value: bool
    span: Span


@dataclass(frozen=True)
class Nothing:
    """None."""

    span: Span


@dataclass(frozen=True)
class Items:
    """A list or a tuple."""

    items: tuple[Literal, ...]
    span: Span


@dataclass(frozen=True)
class Entry:
    """A named part of a call or a dictionary; ``span`` is the place of the name. ``**x`` has no name."""

    name: str | None
    value: Literal
    span: Span


@dataclass(frozen=True)
class Mapping:
    """A dictionary whose keys are strings."""

    entries: tuple[Entry, ...]
    span: Span


@dataclass(frozen=True)
class Call:
    """``module.Word(args, name = value)``; ``called`` is the place of what is called."""

    word: str
    args: tuple[Literal, ...]
    entries: tuple[Entry, ...]
    called: Span
    span: Span


@dataclass(frozen=True)
class Name:
    """A reference to another value: ``DARTS = DARTS_V2``; of ``module.NAME`` the last word counts."""

    word: str
    span: Span


@dataclass(frozen=True)
class Other:
    """An expression that is not a literal."""

    span: Span


Literal: TypeAlias = Text | Whole | Real | Flag | Nothing | Items | Mapping | Call | Name | Other


@dataclass(frozen=True)
class Statement:
    """A line of a text: a value, and the name that it is assigned to."""

    name: str | None
    value: Literal
    span: Span


def statements(span: Span) -> tuple[Statement, ...]:
    """The statements of a part of a source, those without a value included, as `Other`.

    Raises:
        InvalidPartError: where Python's parser stops.
    """
    place = _Place(span)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return tuple(place.statement(line) for line in python.parse(place.text).body)
    except SyntaxError as error:
        start = place.offset(error.lineno or 1, 0) + max((error.offset or 1) - 1, 0)
        start = min(start, span.start + len(place.text.rstrip()))
        where = Span(span.source, start, start + 1)
        raise InvalidPartError(Code.SYNTAX, where, f"this cannot be read: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError):
        where = Span(span.source, span.start, span.start + 1)
        raise InvalidPartError(
            Code.SYNTAX, where, "this cannot be read: it is nested too deeply, or is not text"
        ) from None


def lines(span: Span) -> Iterator[Span]:
    """The lines of a part of a source, without their newlines."""
    start = span.start
    for text in span.text.split("\n"):
        yield Span(span.source, start, start + len(text))
        start += len(text) + 1


def stripped(span: Span) -> Span:
    """A span without the white space at its ends."""
    text = span.text
    start = span.start + len(text) - len(text.lstrip())
    return Span(span.source, start, start + len(text.strip()))


class _Place:
    """A part of a source, whose lines Python counts from 1 and columns in bytes."""

    def __init__(self, span: Span) -> None:
        self.source: Source = span.source
        self.start = span.start
        self.text = span.text
        self.lines = self.text.split("\n")
        self.starts = [0]
        for line in self.lines:
            self.starts.append(self.starts[-1] + len(line) + 1)

    def offset(self, line: int, column: int) -> int:
        """The offset in the source of a line and a column of the parser."""
        if line > len(self.lines):
            return self.start + len(self.text)
        inside = self.lines[line - 1].encode()[:column].decode(errors="ignore")
        return self.start + min(self.starts[line - 1] + len(inside), len(self.text))

    def span(self, node: python.expr | python.stmt | python.keyword) -> Span:
        """The place of a node of the parser."""
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(self.source, self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column))

    def statement(self, line: python.stmt) -> Statement:
        match line:
            case python.Expr(value=value):
                return Statement(None, self.literal(value), self.span(line))
            case python.Assign(targets=[python.Name(id=name)], value=value):
                return Statement(name, self.literal(value), self.span(line))
            case python.AnnAssign(target=python.Name(id=name), value=python.expr() as value):
                return Statement(name, self.literal(value), self.span(line))
            case python.AnnAssign(target=python.Name(id=name), annotation=value):
                # `genotype: Genotype(...)` in a log.
                return Statement(name, self.literal(value), self.span(line))
        return Statement(None, Other(self.span(line)), self.span(line))

    def literal(self, node: python.expr) -> Literal:
        span = self.span(node)
        match node:
            case python.Constant(value=value):
                return self.constant(value, span)
            case python.UnaryOp(op=python.USub(), operand=python.Constant(value=int() | float() as value)):
                return self.constant(-value, span)
            case python.Tuple(elts=parts) | python.List(elts=parts):
                return Items(tuple(self.literal(part) for part in parts), span)
            case python.Dict(keys=keys, values=values):
                made = (self.entry(key, value) for key, value in zip(keys, values, strict=True))
                return Mapping(tuple(made), span)
            case python.Name(id=word) if word in _WORDS:
                return self.constant(_WORDS[word], span)
            case python.Name(id=word) | python.Attribute(attr=word):
                return Name(word, span)
            case python.Call():
                return self.call(node, span)
        return Other(span)

    def constant(self, value: object, span: Span) -> Literal:
        match value:
            case str():
                inner = Span(self.source, span.start + 1, max(span.end - 1, span.start + 1))
                return Text(value, span, inner if inner.text == value else span)
            case bool():
                return Flag(value, span)
            case int():
                return Whole(value, span)
            case float():
                return Real(value, span)
            case None:
                return Nothing(span)
        return Other(span)

    def entry(self, key: python.expr | None, value: python.expr) -> Entry:
        made = self.literal(value)
        if key is None:
            return Entry(None, made, made.span)
        span = self.span(key)
        match self.literal(key):
            case Text(value=name):
                return Entry(name, made, span)
            case Whole(value=number):
                return Entry(str(number), made, span)
        return Entry(None, made, span)

    def call(self, node: python.Call, span: Span) -> Literal:
        if isinstance(node.func, python.Attribute) and node.func.attr in _LEFTOVERS and not node.args:
            return self.literal(node.func.value)
        called = self.span(node.func)
        word = called.text.rpartition(".")[2].strip()
        if len(node.args) == 1 and _WRAPPERS.fullmatch(word):
            return self.literal(node.args[0])
        args = tuple(self.literal(arg) for arg in node.args)
        if word in _DICTIONARIES and args and not node.keywords:
            return _dictionary(args[-1], span)
        entries = []
        for keyword in node.keywords:
            value = self.literal(keyword.value)
            start = self.span(keyword).start
            named = value.span if keyword.arg is None else Span(self.source, start, start + len(keyword.arg))
            entries.append(Entry(keyword.arg, value, named))
        return Call(word, args, tuple(entries), called, span)


def _dictionary(value: Literal, span: Span) -> Literal:
    """The dictionary that a list of pairs is made into."""
    if isinstance(value, Mapping):
        return value
    entries = []
    for pair in value.items if isinstance(value, Items) else ():
        match pair:
            case Items(items=(Text(value=name, span=where), found)):
                entries.append(Entry(name, found, where))
            case _:
                return Other(span)
    return Mapping(tuple(entries), span)
