"""Texts laid out otherwise: the same program with other white space, line breaks, comments and parentheses."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from lark import Token

from hdas_dsl.parse.tables import grammar_parser
from hdas_dsl.tree import ast

BLANKS = (" ", "  ", "\t", " \t ", "\f")
BREAKS = ("\n", "\n\n", "  # beside\n", "\n# alone\n\n")
INFIX = frozenset(["->", "|", "+", "*", "/", "//", "%", "**", "and", "or", "if", "else"])
"""Words and signs around which a line may go on outside of brackets."""


def disturbed(module: ast.Module, source: random.Random) -> str:
    """The text that a module was parsed from, laid out otherwise; what it says stays the same."""
    text = module.span.text
    opened: Counter[int] = Counter()
    closed: Counter[int] = Counter()
    for node in expressions_of(module):
        if source.random() < 0.3:
            opened[node.span.start] += 1
            closed[node.span.end] += 1
    tokens = list(_tokens(text))
    parts: list[str] = []
    depth = 0
    for i, token in enumerate(tokens):
        last = tokens[i - 1] if i else None
        begins = "(" * opened[token.start_pos or 0]
        defines = i + 1 < len(tokens) and tokens[i + 1] in ("=", "[")
        goes_on = depth > 0 or (last in INFIX and not defines) or (token in INFIX and not begins)
        between = text[last.end_pos or 0 if last is not None else 0 : token.start_pos]
        parts.append(_gap(last, token, between, goes_on, source) + begins + token + ")" * closed[token.end_pos or 0])
        depth += (token in ("(", "[")) - (token in (")", "]"))
    return "".join(parts)


def expressions_of(module: ast.Module) -> Iterator[ast.Expr]:
    """All expressions that may stand between parentheses: neither `each x` nor the words of `order = first`."""
    for node in module.walk():
        if isinstance(node, ast.Expr) and not isinstance(node, ast.Each) and node.span.text not in ("first", "last"):
            yield node


def _tokens(text: str) -> Iterator[Token]:
    parser = grammar_parser().parse_interactive(text, start="module")
    tokens: Iterator[Token] = parser.lexer_thread.lex(parser.parser_state)
    return tokens


def _gap(last: Token | None, token: Token, between: str, goes_on: bool, source: random.Random) -> str:
    """What may stand between two tokens; the line ``goes_on`` after a break."""
    if last is None or "COMMENT" in (last.type, token.type):
        return between
    if token.type == "NEWLINE":
        return between + source.choice(("", "", " ", "\t", " # note" if last.type != "NEWLINE" else "\n# alone"))
    if last.type == "NEWLINE":
        return source.choice(("", *BLANKS))
    if goes_on and source.random() < 0.15:
        return between + source.choice(BREAKS)
    if source.random() < 0.3:
        return between + source.choice(BLANKS)
    alone = {last, token} & set("()[],;:{}")
    return "" if alone and source.random() < 0.3 else between


_L = TypeVar("_L", bound=ast.Line)


def _without_comments(lines: tuple[_L, ...]) -> tuple[_L, ...]:
    return tuple(line for line in lines if not isinstance(line, ast.Comment))


def uncommented(node: ast.Node) -> ast.Node:
    """A tree without its comments and notes."""
    node = node.mapped(uncommented)
    if isinstance(node, ast.Line):
        node = replace(node, note=None)
    match node:
        case ast.Module():
            return replace(node, lines=_without_comments(node.lines))
        case ast.Block():
            return replace(node, lines=_without_comments(node.lines))
        case ast.Search() | ast.Method() | ast.Train() | ast.Equivalence() | ast.Provenance() | ast.Phase():
            return replace(node, settings=_without_comments(node.settings))
    return node
