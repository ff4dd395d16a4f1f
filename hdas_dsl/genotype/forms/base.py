"""The protocol of forms, and functions that the readers of several forms share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from hdas_dsl.genotype.literals import Call, Entry, Items, Literal, Mapping, Text, Whole
from hdas_dsl.genotype.model import Part
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

LARGEST = 1_000_000
"""No number of a genotype is as large."""


@dataclass(frozen=True)
class Form:
    """A way in which the field writes genotypes.

    Args:
        name: how messages call it.
        looks: tells it from other values by its shape alone.
        read: the part of a genotype that a value of this form says, or None after it has reported what is wrong.
        start: finds it in the middle of a line, such as one of a log: up to its first bracket, or all of it.
        bare: the value of a whole text, for a form that is not Python.
        weak: whether ``start`` also finds what is something else, so that any other form in a log comes first.
    """

    name: str
    looks: Callable[[Literal], bool]
    read: Callable[[Literal, Report], Part | None]
    start: re.Pattern[str]
    bare: Callable[[Span], Literal | None] = lambda span: None
    weak: bool = False


def bare_text(span: Span) -> Text:
    """The string that a text without quotes is."""
    return Text(span.text, span, span)


def entries_of(value: Literal) -> tuple[Entry, ...]:
    """The named parts of a call or a dictionary; none of anything else."""
    return value.entries if isinstance(value, Call | Mapping) else ()


def items(value: Literal, otherwise: str) -> tuple[Literal, ...]:
    """The items of a list.

    Raises:
        InvalidPartError: it is not a list; ``otherwise`` says what it should be.
    """
    if isinstance(value, Items):
        return value.items
    raise InvalidPartError(Code.KIND, value.span, otherwise)


def number(value: Literal, what: str) -> int:
    """A number of an input or a node.

    Raises:
        InvalidPartError: it is not a whole number, or far too large.
    """
    if not isinstance(value, Whole) or value.value < 0:
        raise InvalidPartError(Code.KIND, value.span, f"{what} is a whole number from 0 on")
    if value.value >= LARGEST:
        raise InvalidPartError(Code.RANGE, value.span, f"{what} is the number of an input or a node: this is too far")
    return value.value


def operation(value: Literal) -> tuple[str, Span]:
    """The name of an operation, and its place.

    Raises:
        InvalidPartError: it is not a string.
    """
    if isinstance(value, Text):
        return value.value, value.inner
    raise InvalidPartError(Code.KIND, value.span, "an operation is its name between quotes")
