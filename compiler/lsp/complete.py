"""Completion at a place: names, parameters, settings, their values, paths of files, words of the language.

The text is read from its beginning up to the place, so that it need not be right.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types

from compiler.program.methods import library_methods
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.words import Setting, Word, menu_of
from hdas_dsl.parse.keywords import BODY_WORDS, INSIDE_WORDS, OPERATOR_WORDS, SETTING_WORDS, TOP_WORDS
from hdas_dsl.text.source import NOWHERE
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, DIMENSIONS, QUANTITIES, WORDS
from hdas_dsl.units import LIBRARY, Unit

from .document import Document
from .mentions import aliases, called_by, defined, signature
from .positions import offset
from .settings import MEANINGS, form, setting_text, values
from .settings import Place as SettingPlace

Kind = types.CompletionItemKind
TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"?|#[^\n]*|[A-Za-z_]\w*|[^\s]|\n')


@dataclass(frozen=True)
class Open:
    """A bracket that is open at a place: what stands before it, and how many commas follow it."""

    sign: str
    before: str
    commas: int
    argument: str
    """The name before the `=` of the last argument."""


@dataclass(frozen=True)
class Before:
    """The text up to a place: its last line, the open brackets, the heading of the open block."""

    line: str
    brackets: tuple[Open, ...]
    headings: tuple[str, ...]


def before(text: str) -> Before:
    """The context of a place, from the text before it."""
    brackets: list[Open] = []
    headings: list[str] = []
    last, line, equals = "", "", ""
    for token in TOKEN.findall(text):
        if token == "\n":
            line = "" if not brackets else line
        elif token.startswith("#"):
            continue
        elif token == "{":
            headings.append(line.strip())
            line, brackets = "", []
        elif token == "}":
            headings[-1:], line, brackets = [], "", []
        else:
            if token in "([":
                brackets.append(Open(token, last, 0, ""))
            elif token in ")]":
                brackets[-1:] = []
            elif token == "," and brackets:
                top = brackets[-1]
                brackets[-1] = Open(top.sign, top.before, top.commas + 1, "")
            elif token == "=" and brackets:
                top = brackets[-1]
                brackets[-1] = Open(top.sign, top.before, top.commas, equals)
            line += f" {token}"
            equals = last = token
    return Before(text.rpartition("\n")[2], tuple(brackets), tuple(headings))


STATEMENT = r"\s*(require|minimize|maximize)\b"
"""The line of a statement, which is about quantities."""


def completions(document: Document, place: types.Position) -> list[types.CompletionItem]:
    """The completions at a place, each once."""
    at = offset(document.source, place)
    here = before(document.source.text[:at])
    if "#" in re.sub(r'"[^"]*"', "", here.line):
        return []
    found: dict[str, types.CompletionItem] = {}
    for item in _found(document, here, at):
        found.setdefault(item.label, item)
    return list(found.values())


def _found(document: Document, here: Before, at: int) -> Iterator[types.CompletionItem]:
    if (path := re.search(r'\buse\s+"([^"]*)$', here.line)) is not None:
        yield from _paths(document, path[1])
        return
    if re.search(r'"[^"]*$', re.sub(r'"[^"]*"', "", here.line)):
        return
    unit = document.unit
    heading = here.headings[-1].split(" ")[0] if here.headings else ""
    dotted = re.search(r"(\w+)\.\w*$", here.line)
    if heading in ("search", "method", "train", "phase"):
        if unit is not None and dotted is not None and dotted[1] in aliases(unit):
            yield from _fields(unit, dotted[1])
        elif unit is not None and re.match(STATEMENT, here.line):
            yield from _expression(unit, here, at)
        else:
            yield from _settings(here, TrainSettings if heading == "train" else SearchSettings)
        return
    if not here.headings and re.match(r"\w*$", here.line):
        yield from (_word(word) for word in TOP_WORDS)
        return
    if re.match(r"\s*search\b[^{]*\bby\s+\w*$", here.line):
        yield from _methods(unit)
        return
    if unit is None:
        return
    if dotted is not None:
        yield from _fields(unit, dotted[1])
        return
    if here.headings and re.match(r"\s*\w*$", here.line) and not here.brackets:
        yield from (_word(word) for word in BODY_WORDS)
    yield from _expression(unit, here, at)


# ---------------------------------------------------------------- parts of a program


def _paths(document: Document, begun: str) -> Iterator[types.CompletionItem]:
    for root in (document.folder, LIBRARY):
        for path in sorted([*root.glob("*.hsp"), *root.glob("*/*.hsp")]):
            name = path.relative_to(root).as_posix()
            if name != document.source.name and name.startswith(begun):
                yield types.CompletionItem(name, kind=Kind.File, detail=_first_comment(path))


def _first_comment(path: Path) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return ""
    return next((line.removeprefix("#").strip() for line in lines if line.startswith("#")), "")


def _methods(unit: Unit | None) -> Iterator[types.CompletionItem]:
    own = () if unit is None else unit.module.methods
    for method in (*own, *library_methods()):
        yield types.CompletionItem(method.name, kind=Kind.Event, detail="a method of search")


def _fields(unit: Unit, base: str) -> Iterator[types.CompletionItem]:
    """The completions behind a dot: the definitions of a file used by an alias, or the dimensions of a tensor."""
    known = aliases(unit).get(base)
    if known is None:
        yield from (types.CompletionItem(name, kind=Kind.Field) for name in DIMENSIONS)
    elif known[1] is not None:
        yield from (_defined(definition) for definition in known[1].module.definitions)


def _expression(unit: Unit, here: Before, at: int) -> Iterator[types.CompletionItem]:
    opened = next((item for item in reversed(here.brackets) if item.sign == "("), None)
    menu = opened is not None and opened.before == "grammar"  # It takes nothing else.
    if opened is not None and re.fullmatch(r"[A-Za-z_]\w*", opened.before):
        called = called_by(ast.Name(opened.before), unit)
        for param in () if called is None else called[1].params:
            default = "needed" if param.default is None else f"default {param.default.span.text}"
            yield types.CompletionItem(
                f"{param.name} = ", kind=Kind.Property, detail=default, sort_text=f"0{param.name}"
            )
    for definition in unit.module.definitions:
        if definition.span.start <= at <= definition.span.end + 1:
            yield from _local(definition)
    for name in dict.fromkeys(unit.visible()):
        found = defined(unit, name)
        if found is None or not isinstance(found.meaning, ast.OpDef | ast.MenuDef | ast.GraphDef):
            yield types.CompletionItem(name, kind=Kind.Module, detail="a used file")
        elif isinstance(found.meaning, ast.MenuDef) or not menu:
            yield _defined(found.meaning)
    if menu:
        return
    yield from (types.CompletionItem(name, kind=Kind.Function, detail="of the language") for name in BUILTINS)
    yield from (_word(word) for word in (*INSIDE_WORDS, *OPERATOR_WORDS, *WORDS))
    if re.match(STATEMENT, here.line):
        yield from (types.CompletionItem(name, kind=Kind.Unit, detail="a quantity") for name in QUANTITIES)


def _local(definition: ast.Definition) -> Iterator[types.CompletionItem]:
    inputs = () if isinstance(definition, ast.MenuDef) else definition.inputs
    for param in (*inputs, *definition.params):
        yield types.CompletionItem(param.name, kind=Kind.Variable, detail=param.span.text)
    for node in definition.walk():
        match node:
            case ast.Target(idents=idents):
                for ident in idents:
                    yield types.CompletionItem(ident.name, kind=Kind.Variable, detail="a line of this body")
            case ast.Dim(index=index):
                yield types.CompletionItem(index, kind=Kind.Variable, detail=node.span.text)


def _defined(definition: ast.Definition) -> types.CompletionItem:
    kinds = {ast.OpDef: Kind.Function, ast.MenuDef: Kind.Enum, ast.GraphDef: Kind.Class}
    return types.CompletionItem(definition.name, kind=kinds[type(definition)], detail=signature(definition))


def _word(word: str) -> types.CompletionItem:
    return types.CompletionItem(word, kind=Kind.Keyword)


# ---------------------------------------------------------------- settings


def _settings(here: Before, section: type[Setting]) -> Iterator[types.CompletionItem]:
    written = re.match(r"\s*(\w+)\s*=", here.line)
    if written is None:
        for name in section.model_fields:
            detail = MEANINGS.get(name)
            text = setting_text(SettingPlace(NOWHERE, section, name))
            yield types.CompletionItem(name, kind=Kind.Property, detail=detail, documentation=_markdown(text))
        yield from (_word(word) for word in SETTING_WORDS)
        return
    model, name = section, written[1]
    argument = True
    for opened in here.brackets:
        word = menu_of(model.model_fields[name]).get(opened.before) if name in model.model_fields else None
        if opened.sign != "(" or word is None:
            return
        order = word.order()
        model, argument = word, bool(opened.argument)
        name = opened.argument or (order[opened.commas] if opened.commas < len(order) else "")
        if not argument:
            yield from _arguments(word)
    if name in model.model_fields:
        menu = menu_of(model.model_fields[name])
        for text in values(model, name):
            yield _value(text, menu.get(text.partition("(")[0]))


def _arguments(word: type[Word]) -> Iterator[types.CompletionItem]:
    for name in word.order():
        text = setting_text(SettingPlace(NOWHERE, word, name))
        yield types.CompletionItem(
            f"{name} = ", kind=Kind.Property, documentation=_markdown(text), sort_text=f"1{name}"
        )


def _value(text: str, word: type[Word] | None) -> types.CompletionItem:
    about = None if word is None else inspect.cleandoc(word.__doc__ or "")
    detail = None if word is None else form(word)
    return types.CompletionItem(
        text.partition("(")[0], kind=Kind.EnumMember, detail=detail, documentation=about and _markdown(about)
    )


def _markdown(text: str) -> types.MarkupContent:
    return types.MarkupContent(types.MarkupKind.Markdown, text)
