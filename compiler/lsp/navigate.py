"""Where a name is defined, where it stands, what it may be called instead, and what a text consists of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from lsprotocol import types

from compiler.util.errors import UsageError
from hdas_dsl.tree import ast
from hdas_dsl.units import Unit

from .document import Document
from .mentions import Mention, Target, mention_at
from .positions import is_library, offset, path_of, position, span_range, uri_of

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
KINDS = {
    ast.Level.NETWORK: types.SymbolKind.Module,
    ast.Level.STAGE: types.SymbolKind.Struct,
    ast.Level.CELL: types.SymbolKind.Class,
}


def definition(document: Document, uri: str, place: types.Position) -> types.Location | None:
    """Where the name at a place is defined, or the file of a `use`."""
    at = offset(document.source, place)
    if (found := mention_at(document.mentions, at)) is not None:
        where = uri_of(found.target.unit, uri)
        return None if where is None else types.Location(where, span_range(found.target.span))
    for use, used in () if document.unit is None else document.unit.imports:
        if used is not None and used.path is not None and use.span.start <= at <= use.span.end:
            return types.Location(used.path.as_uri(), types.Range(types.Position(0, 0), types.Position(0, 0)))
    return None


def _same(here: str, documents: Iterable[tuple[str, Document]], wanted: Mention) -> Iterator[tuple[str, Mention]]:
    """The mentions in several documents of what one in the text at ``here`` refers to."""
    file = _file(wanted.target.unit, here)
    for uri, document in documents:
        for item in document.mentions:
            if _file(item.target.unit, uri) == file and _is_same(item.target, wanted.target):
                yield uri, item


def _is_same(one: Target, other: Target) -> bool:
    """Whether two definitions in two states of a file, one of which may not be saved, are the same."""
    if one.unit.source.text == other.unit.source.text:
        return one.span.start == other.span.start
    named = ast.OpDef | ast.GraphDef | ast.MenuDef | ast.Method
    return isinstance(one.meaning, named) and isinstance(other.meaning, named) and one.name == other.name


def _file(unit: Unit, uri: str) -> Path:
    """Where a text lies; one that an editor has open has an address only."""
    return unit.path or path_of(uri).resolve()


def references(
    document: Document, uri: str, place: types.Position, others: Iterable[tuple[str, Document]] = ()
) -> list[types.Location]:
    """Every place of the name at a place, in this text and in others."""
    found = mention_at(document.mentions, offset(document.source, place))
    if found is None:
        return []
    mentions = _same(uri, [(uri, document), *others], found)
    return [types.Location(where, span_range(item.span)) for where, item in mentions]


def rename(
    document: Document, uri: str, place: types.Position, name: str, others: Iterable[tuple[str, Document]] = ()
) -> types.WorkspaceEdit | None:
    """Another name for what the name at a place refers to, wherever it stands.

    Raises:
        UsageError: it is not a name, or that of something of the shipped library or of a file that is not here.
    """
    found = mention_at(document.mentions, offset(document.source, place))
    if found is None:
        return None
    if not NAME.fullmatch(name):
        raise UsageError(f"'{name}' is not a name: it has letters, digits and _, and begins with no digit")
    if is_library(found.target.unit):
        raise UsageError(f"'{found.target.name}' is of the shipped library, which stays as it is")
    texts = [(uri, document), *others]
    if _file(found.target.unit, uri) not in {path_of(at).resolve() for at, _ in texts}:
        raise UsageError(
            f"'{found.target.name}' is of '{found.target.unit.source.name}': open that file, and rename it there"
        )
    changes: dict[str, list[types.TextEdit]] = {}
    for where, item in _same(uri, texts, found):
        changes.setdefault(where, []).append(types.TextEdit(span_range(item.span), name))
    return types.WorkspaceEdit(changes)


def symbols(document: Document) -> list[types.DocumentSymbol]:
    """The definitions and sections of a text, with the lines of each body."""
    if document.unit is None:
        return []
    found = []
    for line in document.unit.module.lines:
        match line:
            case ast.GraphDef(level=level, body=body):
                found.append(_symbol(line, line.title, KINDS[level], level.value, list(_lines(body))))
            case ast.OpDef(body=body):
                inside = list(_lines(body)) if isinstance(body, ast.Block) else []
                found.append(_symbol(line, line.name, types.SymbolKind.Function, "op", inside))
            case ast.MenuDef():
                found.append(_symbol(line, line.name, types.SymbolKind.Enum, "choice"))
            case ast.Search() | ast.Train():
                word = type(line).__name__.lower()
                name = word if line.target is None else f"{word} {line.target.span.text}"
                phases = [
                    _symbol(item, item.name, types.SymbolKind.Event, "phase")
                    for item in line.settings
                    if isinstance(item, ast.Phase)
                ]
                found.append(_symbol(line, name, types.SymbolKind.Namespace, word, phases))
            case ast.Method() | ast.Equivalence():
                word = type(line).__name__.lower()
                found.append(_symbol(line, line.name, types.SymbolKind.Namespace, word))
            case ast.Provenance():
                found.append(_symbol(line, "provenance", types.SymbolKind.Namespace, ""))
    return found


def _lines(block: ast.Block) -> Iterator[types.DocumentSymbol]:
    for line in block.lines:
        if isinstance(line, ast.Binding):
            yield _symbol(line, line.target.name, types.SymbolKind.Variable, "")


def _symbol(
    line: ast.Line, name: str, kind: types.SymbolKind, detail: str, inside: list[types.DocumentSymbol] | None = None
) -> types.DocumentSymbol:
    source = line.span.source
    named = next((node.span for node in line.walk() if isinstance(node, ast.Ident) and node.name == name), None)
    first = named or line.span.head(len(source.line(line.span.line)) - line.span.column + 1)
    chosen = types.Range(position(source, first.start), position(source, min(first.end, line.span.end)))
    return types.DocumentSymbol(name, kind, span_range(line.span), chosen, detail=detail, children=inside or [])
