"""Places in a text as editors count them: lines and UTF-16 units, both from 0."""

from __future__ import annotations

from pathlib import Path

from lsprotocol import types

from hdas_dsl.text.source import Source, Span
from hdas_dsl.units import LIBRARY, Unit

WIDE = 0xFFFF
"""The last character that is one unit of UTF-16."""


def units(text: str) -> int:
    """The length of a text in units of UTF-16."""
    return len(text) + sum(ord(char) > WIDE for char in text)


def position(source: Source, offset: int) -> types.Position:
    """The place of a character."""
    line, column = source.position(offset)
    return types.Position(line - 1, units(source.line(line)[: column - 1]))


def span_range(span: Span) -> types.Range:
    """The place of a span."""
    return types.Range(position(span.source, span.start), position(span.source, span.end))


def offset(source: Source, place: types.Position) -> int:
    """The character at a place; what lies behind the end of a line, or of the text, is that end."""
    lines = source.text.split("\n")
    if place.line >= len(lines):
        return len(source.text)
    text, left, column = lines[place.line], place.character, 0
    while left > 0 and column < len(text):
        left -= units(text[column])
        column += 1
    return sum(len(line) + 1 for line in lines[: place.line]) + column


def uri_of(unit: Unit, here: str) -> str | None:
    """The address of a file: ``here`` for the text itself; None where it has none."""
    if unit.path is not None:
        return unit.path.as_uri()
    return here if not unit.source.name.startswith("<") else None


def is_library(unit: Unit) -> bool:
    """Whether a file is one of the shipped library, which nobody renames in."""
    return unit.path is not None and unit.path.is_relative_to(LIBRARY / "lib")


def path_of(uri: str) -> Path:
    """The file of an address; a text that was never saved lies in the current folder."""
    from urllib.parse import unquote, urlparse
    from urllib.request import url2pathname

    parts = urlparse(uri)
    if parts.scheme != "file":
        return Path.cwd() / f"{unquote(parts.path).rsplit('/', 1)[-1] or 'untitled'}.hsp"
    return Path(url2pathname(parts.path))
