"""lark's parser of the grammar, with its tables kept between runs as JSON."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

from hdas_dsl.cache import cache_folder, write_cached

from .lexer import RAW_TERMINALS

GRAMMAR = Path(__file__).with_name("grammar.lark")


class _KeepRaw:
    """Keeps the terminals that only the layout reads; lark would drop them as unused."""

    always_accept = RAW_TERMINALS

    def process(self, stream: Any) -> Any:
        return stream


@cache
def grammar_parser() -> Lark:
    """The parser of the grammar. Its tables take 0.2 s to compute and 15 ms to read, so they are kept in a file."""
    grammar = GRAMMAR.read_text(encoding="utf-8")
    folder = cache_folder()
    if folder is None:
        return build(grammar)
    key = sha256(f"{lark.__version__}\n{grammar}".encode()).hexdigest()
    file = folder / f"grammar-{key[:16]}.json"
    parser = _read(file)
    if parser is None:
        parser = build(grammar)
        write_cached(file, dumps(parser))
    return parser


def build(grammar: str) -> Lark:
    """lark's parser of a grammar, its tables computed."""
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        postlex=_KeepRaw(),
        start=["module", "expression"],
        propagate_positions=True,
    )


def dumps(parser: Lark) -> str:
    """The tables of a parser as JSON."""
    data, memo = parser.memo_serialize([TerminalDef, Rule])
    options = {name: value for name, value in data["options"].items() if name != "postlex"}
    return json.dumps({"data": {**data, "options": options}, "memo": memo}, separators=(",", ":"))


def loads(text: str) -> Lark:
    """The parser that `dumps` wrote.

    Raises:
        ValueError: the text is not JSON.
        LookupError, TypeError, AttributeError, AssertionError: it is, but holds no tables.
    """
    tables = json.loads(text, object_hook=_with_numbers)
    tables["data"]["options"]["postlex"] = _KeepRaw()
    return Lark.load(tables)


def _with_numbers(found: dict[str, Any]) -> dict[str | int, Any]:
    """JSON writes all keys as text; the numbers of states, terminals and rules were numbers."""
    return {int(key) if key.isdigit() else key: value for key, value in found.items()}


def _read(file: Path) -> Lark | None:
    try:
        return loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError):
        return None
