"""The syntax tree of a parse: a node for every rule of the grammar, with the place it was read from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias, TypeVar

from lark import Token, v_args
from lark.tree import Meta
from lark.visitors import Transformer_NonRecursive

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Source, Span
from hdas_dsl.tree import ast

from .lexer import span_of

_L = TypeVar("_L", bound=ast.Line)
_Params: TypeAlias = tuple[ast.Param, ...]
_Signature: TypeAlias = tuple[_Params, _Params]
_Shape: TypeAlias = tuple[ast.Expr, ...]

_NODES: Final[dict[str, tuple[Callable[..., ast.Node], int | None]]] = {
    "comment": (ast.Comment, None),
    # definitions
    "use": (ast.Use, 2),
    "external": (ast.External, None),
    "copy_name": (ast.CopyName, 0),
    "copy_part": (ast.CopyPart, None),
    "param": (ast.Param, None),
    # bodies and settings
    "body": (ast.Block, 0),
    "binding": (ast.Binding, 2),
    "local": (ast.Binding, None),
    "names": (ast.Target, 0),
    "dim": (ast.Dim, None),
    "output": (ast.Output, None),
    "aux": (ast.Aux, None),
    "require": (ast.Require, None),
    "preference": (ast.Preference, None),
    "prune": (ast.Prune, None),
    "search": (ast.Search, None),
    "method": (ast.Method, None),
    "train": (ast.Train, None),
    "equivalence": (ast.Equivalence, None),
    "provenance": (ast.Provenance, None),
    "setting": (ast.Setting, None),
    # expressions
    "number": (ast.Number, None),
    "string": (ast.String, None),
    "tuple": (ast.Tuple, 0),
    "field": (ast.Field, None),
    "index": (ast.Index, 1),
    "range": (ast.Range, None),
    "copy": (ast.Copy, None),
    "call": (ast.Call, 1),
    "arg": (ast.Arg, None),
    "each": (ast.Each, None),
    "earlier": (ast.Earlier, None),
    "take": (ast.Take, None),
    "pick": (ast.Pick, None),
    "pipe": (ast.Pipe, 0),
    "unary": (ast.Unary, None),
    "conditional": (ast.If, None),
    "choice": (ast.Choice, 0),
}
"""Rules whose parts are the fields of a node, in order.

A number says where a repetition starts: the parts from there on are one tuple, the last field.
"""


@v_args(inline=True, meta=True)
class TreeBuilder(Transformer_NonRecursive[Token, Any]):
    """Makes the syntax tree of lark's parse tree; errors that the grammar cannot refuse are added to ``report``.

    The parts of a rule in `_NODES` are the fields of its node; every other rule has a method of its name. Of tokens,
    names become identifiers, some words members of an enumeration, and the rest plain text.
    """

    def __init__(self, source: Source, report: list[Diagnostic]) -> None:
        super().__init__()
        self._source = source
        self._report = report

    def __default__(self, data: str, children: Sequence[object], meta: Meta) -> ast.Node:
        node, single = _NODES[data]
        if single is None:
            return node(*children, span=self._span(meta))
        repeated = tuple(part for part in children[single:] if part is not None)
        return node(*children[:single], repeated, span=self._span(meta))

    def _span(self, meta: Meta) -> Span:
        return Span(self._source, meta.start_pos, meta.end_pos)

    # ------------------------------------------------------------ tokens

    def __default_token__(self, token: Token) -> str:
        return str(token)

    def NAME(self, token: Token) -> ast.Ident:
        """A name with its place."""
        return ast.Ident(str(token), span=span_of(self._source, token))

    def STRING(self, token: Token) -> str:
        """The text between the quotes, unescaped."""
        return re.sub(r"\\(.)", r"\1", token[1:-1])

    def _level(self, token: Token) -> ast.Level:
        return ast.Level(str(token))

    def _end(self, token: Token) -> ast.End:
        return ast.End(str(token))

    def _sense(self, token: Token) -> ast.Sense:
        return ast.Sense(str(token))

    CELL = STAGE = NETWORK = _level
    FIRST = LAST = _end
    MINIMIZE = MAXIMIZE = _sense

    # ------------------------------------------------------------ files and definitions

    def module(self, _: Meta, line: str, version: str, note: ast.Comment | None, *lines: ast.TopLine) -> ast.Module:
        """The heading, then the lines; a comment before the heading comes first."""
        whole = Span(self._source, 0, len(self._source.text))
        return ast.Module(lines if note is None else (note, *lines), int(version), span=whole)

    def expression(self, _: Meta, line: str, value: ast.Expr) -> ast.Expr:
        """The start rule of a text that is one expression."""
        return value

    def line(self, _: Meta, mark: str, line: _L, note: str | None) -> _L:
        """A line with the mark before it, which is a newline if a blank line was there, and the comment behind it."""
        return replace(line, note=note, gap=bool(mark)) if mark or note is not None else line

    def op_expression(
        self, meta: Meta, ident: ast.Ident, signature: _Signature, body: ast.Expr | ast.Block
    ) -> ast.OpDef:
        """``op f(x; k) = ...`` and ``op f(x; k) { ... }``."""
        return ast.OpDef(ident, *signature, body, span=self._span(meta))

    op_block = op_expression

    def op_external(
        self, meta: Meta, ident: ast.Ident, signature: _Signature, shape: _Shape | None, external: ast.External
    ) -> ast.OpDef:
        """``op f(x; k) : [...] = external "..."``."""
        return ast.OpDef(ident, *signature, external, shape, span=self._span(meta))

    def menu(self, meta: Meta, ident: ast.Ident, params: _Params | None, value: ast.Expr) -> ast.MenuDef:
        """``choice M(p) = ...``."""
        return ast.MenuDef(ident, params or (), value, span=self._span(meta))

    def graph(
        self, meta: Meta, level: ast.Level, copy: ast.CopyName, signature: _Signature, body: ast.Block
    ) -> ast.GraphDef:
        """A cell, stage or network."""
        return ast.GraphDef(level, copy, *signature, body, span=self._span(meta))

    def copy_label(self, meta: Meta, label: str | ast.Ident) -> ast.Ident:
        """The label in ``Normal@0``; a number that is not an integer is an error."""
        if isinstance(label, ast.Ident):
            return label
        span = self._span(meta)
        if not label.isdigit():
            message = f"a copy's label is an integer or a name, not '{label}'"
            self._report.append(Diagnostic(Code.SYNTAX, span, message))
        return ast.Ident(label, span=span)

    def signature(self, _: Meta, inputs: _Params | None, params: _Params | None) -> _Signature:
        """The inputs before the ``;`` and the parameters behind it."""
        return inputs or (), params or ()

    def params(self, _: Meta, *parts: ast.Node) -> tuple[ast.Node, ...]:
        """A list of parameters, sizes or settings."""
        return parts

    shape = settings = params

    # ------------------------------------------------------------ lines

    def target(self, meta: Meta, ident: ast.Ident, *dims: ast.Dim | None) -> ast.Target:
        """``x`` or ``n[i < 4]`` before the ``=``."""
        return ast.Target((ident,), tuple(dim for dim in dims if dim is not None), span=self._span(meta))

    def phase(
        self, meta: Meta, ident: ast.Ident, target: ast.Expr, settings: tuple[ast.SettingLine, ...] | None
    ) -> ast.Phase:
        """``phase micro = Net(args) { ... }``; the block may be missing."""
        return ast.Phase(ident, target, settings or (), span=self._span(meta))

    # ------------------------------------------------------------ expressions

    def name(self, _: Meta, ident: ast.Ident) -> ast.Name:
        """A name as an expression."""
        return ast.Name(ident.name, span=ident.span)

    def end_word(self, meta: Meta, end: ast.End) -> ast.Name:
        """``first`` and ``last`` are plain names where no ``of`` follows."""
        return ast.Name(end.value, span=self._span(meta))

    def binary(self, meta: Meta, left: ast.Expr, op: str, right: ast.Expr) -> ast.Binary:
        """Two operands and the sign or word between them."""
        return ast.Binary(op, left, right, span=self._span(meta))

    def pick_any(self, meta: Meta, bundle: ast.Expr) -> ast.Pick:
        """``pick any of B``."""
        return ast.Pick(None, bundle, span=self._span(meta))

    def item(self, meta: Meta, value: ast.Expr, weight: ast.Expr | None, guard: ast.Expr | None = None) -> ast.Item:
        """An item of a choice."""
        return ast.Item(value, guard, weight, span=self._span(meta))

    def dots(self, meta: Meta) -> ast.Item:
        """``..`` as an item of a choice."""
        span = self._span(meta)
        return ast.Item(ast.Dots(span=span), span=span)
