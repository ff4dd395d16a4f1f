"""A small pretty printer after Wadler: a document marks where it may break, and a width decides where it does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Break:
    """A place where a line may end; ``flat`` is the text of a break that is not taken."""

    flat: str = " "


@dataclass(frozen=True)
class Group:
    """Breaks at all of its own places, or at none if it fits on the line."""

    doc: Doc


@dataclass(frozen=True)
class Nest:
    """Lines broken inside are indented two further."""

    doc: Doc


@dataclass(frozen=True)
class Hang:
    """Lines broken inside start below this place, moved by ``offset``."""

    doc: Doc
    offset: int = 0


Doc: TypeAlias = str | Break | Group | Nest | Hang | tuple["Doc", ...]
_Task: TypeAlias = tuple[int, bool, Doc]  # the indentation, whether breaks are flat, the document

SPACE = Break()
SOFT = Break("")
_STEP = 2


def join(separator: Doc, docs: Iterable[Doc]) -> Doc:
    """The documents with the separator between them."""
    parts = [part for doc in docs for part in (separator, doc)]
    return tuple(parts[1:])


def brackets(opening: str, items: Iterable[Doc], closing: str) -> Doc:
    """On one line, or every item on a line of its own."""
    content = join((",", SPACE), items)
    return Group((opening, Nest((SOFT, content)), SOFT, closing)) if content else opening + closing


def render(doc: Doc, indent: int, width: int) -> str:
    """The text of a document that starts after ``indent`` spaces; no group is wider than it has to be."""
    out: list[str] = []
    column = indent
    tasks: list[_Task] = [(indent, False, doc)]
    while tasks:
        indent, flat, doc = tasks.pop()
        match doc:
            case str():
                out.append(doc)
                column += len(doc)
            case tuple():
                tasks += [(indent, flat, part) for part in reversed(doc)]
            case Break(text):
                out.append(text if flat else "\n" + " " * indent)
                column = column + len(text) if flat else indent
            case Group(inner):
                tasks.append((indent, flat or _fits(width - column, inner, tasks), inner))
            case Nest(inner):
                tasks.append((indent + _STEP, flat, inner))
            case Hang(inner, offset):
                tasks.append((max(0, column + offset), flat, inner))
    return "".join(out)


def _fits(space: int, doc: Doc, rest: list[_Task]) -> bool:
    """Whether ``doc`` without breaks fits, with the text behind it up to the first place that may break."""
    tasks: list[tuple[bool, Doc]] = [(True, doc)]
    after = len(rest)
    while space >= 0:
        if not tasks:
            if after == 0:
                return True
            after -= 1
            tasks.append(rest[after][1:])
        flat, doc = tasks.pop()
        match doc:
            case str():
                space -= len(doc)
            case tuple():
                tasks += [(flat, part) for part in reversed(doc)]
            case Break(text):
                if not flat:
                    return True
                space -= len(text)
            case Group(inner) | Nest(inner) | Hang(inner):
                tasks.append((flat, inner))
    return False
