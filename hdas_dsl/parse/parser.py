"""Text to syntax tree: the heading of a file, and the functions `parse`, `parse_text` and `parse_expression`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from lark import Token

from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.text.limits import ErrorList, LimitError, TokenBudget, check_length
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.tree.depth import check_depth

from .build import TreeBuilder
from .lexer import BROKEN, END, LINE, NOTE, lay_out, span_of
from .recovery import RecoveringParser
from .tables import grammar_parser

VERSION = 1


def parse(source: Source, budget: TokenBudget | None = None) -> tuple[ast.Module | None, list[Diagnostic]]:
    """The module of a text and all its syntax errors; no module if there are any.

    Args:
        source: The text.
        budget: What is left to read, where the text is one of several.
    """
    tree, report = _read(source, "module", budget or TokenBudget())
    module = tree if isinstance(tree, ast.Module) else None
    return module, report


def parse_text(text: str, name: str = "<text>") -> ast.Module:
    """The module of a text.

    Raises:
        HspError: the text has syntax errors; it holds all of them.
    """
    module, report = parse(Source(name, text))
    if module is None:
        raise HspError(report)
    return module


def parse_expression(text: str, name: str = "<text>") -> tuple[ast.Expr | None, list[Diagnostic]]:
    """An expression on its own, such as the value of a setting on the command line."""
    tree, report = _read(Source(name, text), "expression", TokenBudget())
    return (tree if isinstance(tree, ast.Expr) else None), report


_Start: TypeAlias = Literal["module", "expression"]


def _read(source: Source, start: _Start, budget: TokenBudget) -> tuple[ast.Node | None, list[Diagnostic]]:
    """The tree of a text and its errors in the order of their places; that of a limit comes last."""
    report = ErrorList()
    last: list[Diagnostic] = []
    node: ast.Node | None = None
    try:
        check_length(source)
        node = _tree(source, start, report, budget)
    except LimitError as limit:
        last = [limit.diagnostic]
    found = [*sorted(report.diagnostics, key=lambda diagnostic: diagnostic.span.start), *last]
    return (None if found else node), found


def _tree(source: Source, start: _Start, report: ErrorList, budget: TokenBudget) -> ast.Node | None:
    """The tree of a text.

    Raises:
        LimitError: the text goes beyond a limit.
    """
    parser = grammar_parser().parse_interactive(source.text, start=start)
    raw = _counted(source, parser.lexer_thread.lex(parser.parser_state), budget)
    if start == "module":
        tokens = _with_heading(source, list(lay_out(source, raw, report)), report)
    else:
        tokens = list(lay_out(source, (token for token in raw if token.type != "COMMENT"), report))
    tree = RecoveringParser(source, parser, tokens, report, recovers=start == "module").run()
    if tree is None:
        return None
    labels: list[Diagnostic] = []
    node: ast.Node = TreeBuilder(source, labels).transform(tree)
    deep = check_depth(node)
    for diagnostic in (*labels, *([deep] if deep is not None else [])):
        report.add(diagnostic)
    return node


def _counted(source: Source, raw: Iterator[Token], budget: TokenBudget) -> Iterator[Token]:
    """The tokens, each of which is taken from the budget; newlines and comments are some."""
    for token in raw:
        budget.take(span_of(source, token))
        yield token


# ---------------------------------------------------------------- the heading


def _with_heading(source: Source, tokens: list[Token], report: ErrorList) -> list[Token]:
    """The tokens with the heading first: comments before it follow it, and a missing one is reported and put in."""
    first = 0
    while tokens[first].type == LINE and tokens[first + 1].type == "COMMENT":
        first += 2
    end = next(i for i in range(first, len(tokens)) if tokens[i].type == END or (tokens[i].type == LINE and i > first))
    heading = tokens[first:end]
    if [token.type for token in heading[:3]] != [LINE, "HSP", "NUMBER"]:
        wrong = next((token for token in heading if token.type not in (LINE, BROKEN)), tokens[first])
        report.add(Diagnostic(Code.VERSION, span_of(source, wrong), f"a file starts with 'hsp {VERSION}'"))
        rest = tokens[end:] if wrong.type == "HSP" else tokens[first:]
        heading = [Token(LINE, "", 0, end_pos=0), Token("HSP", "hsp", 0), Token("NUMBER", str(VERSION), 0)]
        return [*heading, *tokens[:first], *rest]
    if heading[2] != str(VERSION):
        message = f"this is the compiler of 'hsp {VERSION}', not of 'hsp {heading[2]}'"
        report.diagnostics[:] = [Diagnostic(Code.VERSION, span_of(source, heading[2]), message)]
        return []
    more = [token for token in heading[3:] if token.type != NOTE]
    if more and more[0].type != BROKEN:
        message = f"expected the end of the line after 'hsp {VERSION}', found '{more[0]}'"
        report.add(Diagnostic(Code.SYNTAX, span_of(source, more[0]), message))
    note = heading[3:] if not more else []
    return [*heading[:3], *note, *tokens[:first], *tokens[end:]]
