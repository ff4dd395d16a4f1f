"""The canonical form of a program: a function of its tree and of the blank lines between its lines, nothing else.

A line longer than `WIDTH` breaks where its structure is coarsest: a `where` goes below its line, then every item of a
choice, stage of a pipe, term of a sum or argument of a call gets a line of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Final

from hdas_dsl.text.diagnostics import HspError

from . import ast
from .depth import check_depth
from .expression_printer import Level, argument_doc, expression_doc, item_doc, quoted, value_doc
from .layout import SPACE, Doc, Group, Hang, Nest, brackets, join, render

WIDTH: Final = 120


def print_module(module: ast.Module) -> str:
    """The canonical text of a file.

    Raises:
        HspError: the tree is nested too deeply.
    """
    _refuse_depth(module)
    return "\n".join([f"hsp {module.version}", *_top_lines(module.lines)]) + "\n"


def print_expression(expr: ast.Expr) -> str:
    """An expression, on one line however long it is.

    Raises:
        HspError: the tree is nested too deeply.
    """
    _refuse_depth(expr)
    return render(expression_doc(expr), 0, sys.maxsize)


def print_line(node: ast.Node) -> str:
    """An expression, or a line or part of one that has a text of its own, on one line; without block and note.

    Raises:
        HspError: the tree is nested too deeply.
        TypeError: the node has no text of its own.
    """
    _refuse_depth(node)
    return render(_part(node), 0, sys.maxsize)


def _refuse_depth(node: ast.Node) -> None:
    deep = check_depth(node)
    if deep is not None:
        raise HspError([deep])


def _part(node: ast.Node) -> Doc:
    match node:
        case ast.Item() | ast.Dots():
            return item_doc(node if isinstance(node, ast.Item) else ast.Item(node))
        case ast.Arg():
            return argument_doc(node)
        case ast.Param():
            return _param(node)
        case ast.Dim():
            return _dim(node)
        case ast.External():
            return _external(node)
        case ast.Line():
            return _statement(node)
        case _ if isinstance(node, ast.Expr):
            return expression_doc(node)
    raise TypeError(f"no text of its own: {node!r}")


# ---------------------------------------------------------------- lines


def _top_lines(lines: Sequence[ast.TopLine]) -> Iterator[str]:
    """The lines of a file, with a blank line around every definition that has a block and above its comments."""
    after_block = False
    for i, line in enumerate(lines):
        if line.gap or after_block or _leads_block(lines, i):
            yield ""
        yield from _line(line, 0)
        after_block = _block(line) is not None


def _leads_block(lines: Sequence[ast.TopLine], i: int) -> bool:
    """Whether a definition with a block starts here, or the first of the comments right above it."""
    if i > 0 and isinstance(lines[i - 1], ast.Comment) and not lines[i].gap:
        return False
    while isinstance(lines[i], ast.Comment) and i + 1 < len(lines) and not lines[i + 1].gap:
        i += 1
    return _block(lines[i]) is not None


def _lines(lines: Sequence[ast.Line], indent: int) -> Iterator[str]:
    """The lines of a block."""
    for i, line in enumerate(lines):
        if line.gap and i > 0:
            yield ""
        yield from _line(line, indent)


def _line(line: ast.Line, indent: int) -> Iterator[str]:
    note = "" if line.note is None else f"  {line.note}"
    block = _block(line)
    opening = "" if block is None else " {" if block else " {}"
    yield " " * indent + render((_statement(line), opening), indent, WIDTH) + ("" if block else note)
    if block:
        yield from _lines(block, indent + 2)
        yield " " * indent + "}" + note


def _block(line: ast.Line) -> Sequence[ast.Line] | None:
    """The lines between the braces; None where a line has no braces."""
    match line:
        case ast.GraphDef(body=ast.Block(lines)) | ast.OpDef(body=ast.Block(lines)):
            return lines
        case ast.Search(settings=lines) | ast.Train(settings=lines):
            return lines
        case ast.Method(settings=lines) | ast.Equivalence(settings=lines) | ast.Provenance(settings=lines):
            return lines
        case ast.Phase(settings=lines) if lines:
            return lines
    return None


def _statement(line: ast.Line) -> Doc:
    """A line without its block and note."""
    match line:
        case ast.Comment(text):
            return text
        case ast.Binding():
            return _binding(line)
        case ast.Output(value):
            return "output ", expression_doc(value)
        case ast.Aux(value):
            return "aux ", expression_doc(value)
        case ast.Require(condition):
            return "require ", expression_doc(condition)
        case ast.Preference(sense, quantity, weight):
            return Group((sense.value, " ", expression_doc(quantity, Level.PIPE), _clause("weight ", weight)))
        case ast.Prune():
            return "prune"
        case ast.Setting(ident, value):
            return ident.name, " = ", value_doc(value)
        case ast.Phase(ident, target):
            return "phase ", ident.name, " = ", expression_doc(target, Level.POSTFIX)
        case _:
            return _definition(line)


def _definition(line: ast.Line) -> Doc:
    match line:
        case ast.Use(path, alias, replacements):
            named: Doc = "" if alias is None else f" as {alias.name}"
            return Group((f"use {quoted(path)}", named, _bindings("with ", replacements)))
        case ast.OpDef(ident, inputs, params, ast.Block()):
            return "op ", ident.name, _signature(inputs, params)
        case ast.OpDef(ident, inputs, params, ast.External() as external, shape):
            shaped: Doc = () if shape is None else (SPACE, ": ", _shape(shape))
            body = Nest((shaped, SPACE, "= ", _external(external)))
            return Group(("op ", ident.name, _signature(inputs, params), body))
        case ast.OpDef(ident, inputs, params, body):
            assert not isinstance(body, ast.Block | ast.External)
            return "op ", ident.name, _signature(inputs, params), " = ", value_doc(body)
        case ast.MenuDef(ident, params, value):
            signature = brackets("(", map(_param, params), ")") if params else ""
            return "choice ", ident.name, signature, " = ", value_doc(value)
        case ast.GraphDef(level, copy, inputs, params):
            return level.value, " ", str(copy), _signature(inputs, params)
        case ast.Search(target, method):
            return "search", _run(target), "" if method is None else f" by {method.name}"
        case ast.Method(ident):
            return "method ", ident.name
        case ast.Train(target):
            return "train", _run(target)
        case ast.Equivalence(ident):
            return "equivalence ", ident.name
        case ast.Provenance():
            return "provenance"
    raise TypeError(f"not a line: {line!r}")


def _binding(binding: ast.Binding) -> Doc:
    where = _bindings("where ", binding.where)
    return Group((_target(binding.target), " = ", value_doc(binding.value), where))


def _bindings(word: str, bindings: Sequence[ast.Binding]) -> Doc:
    """A `where` or `with`, on a line of its own where the line is too long."""
    return Nest((SPACE, word, Group(Hang(join((",", SPACE), map(_binding, bindings)))))) if bindings else ""


def _target(target: ast.Target) -> Doc:
    if len(target.names) > 1:
        return f"({', '.join(target.names)})"
    if not target.dims:
        return target.name
    return target.name, brackets("[", map(_dim, target.dims), "]")


def _dim(dim: ast.Dim) -> Doc:
    return dim.index, " < ", expression_doc(dim.size)


def _external(external: ast.External) -> Doc:
    return "external ", quoted(external.name)


def _clause(word: str, value: ast.Expr | None) -> Doc:
    return "" if value is None else Nest((SPACE, word, expression_doc(value)))


def _run(target: ast.Expr | None) -> Doc:
    return "" if target is None else (" ", expression_doc(target, Level.POSTFIX))


def _signature(inputs: Sequence[ast.Param], params: Sequence[ast.Param]) -> Doc:
    if not params:
        return brackets("(", map(_param, inputs), ")")
    first, *rest = map(_param, params)
    if not inputs:
        return brackets("(; ", [first, *rest], ")")
    *before, last = map(_param, inputs)
    return brackets("(", [*before, (last, ";", SPACE, first), *rest], ")")


def _param(param: ast.Param) -> Doc:
    shape = "" if param.shape is None else (": ", _shape(param.shape))
    default = "" if param.default is None else (" = ", value_doc(param.default))
    return param.name, shape, default


def _shape(shape: Sequence[ast.Expr]) -> Doc:
    return brackets("[", map(expression_doc, shape), "]")
