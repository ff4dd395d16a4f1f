"""The canonical form of expressions, with parentheses only where the order of operations needs them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final

from . import ast
from .layout import SPACE, Doc, Group, Hang, Nest, brackets, join


class Level(IntEnum):
    """How tightly an expression holds together; where a tighter one is wanted it gets parentheses."""

    IF = 0
    CHOICE = 1
    PIPE = 2
    OR = 3
    AND = 4
    NOT = 5
    COMPARE = 6
    SUM = 7
    PRODUCT = 8
    NEGATION = 9
    POWER = 10
    PREFIX = 11
    POSTFIX = 12


_BINARY: Final = {
    "or": Level.OR,
    "and": Level.AND,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in"), Level.COMPARE),
    **dict.fromkeys("+-", Level.SUM),
    **dict.fromkeys(("*", "/", "//", "%"), Level.PRODUCT),
    "**": Level.POWER,
}
_CHAINED: Final = frozenset({Level.OR, Level.AND, Level.SUM, Level.PRODUCT})
"""Levels on which ``a + b + c`` is ``(a + b) + c``."""


def _level(expr: ast.Expr | ast.Each) -> Level:
    match expr:
        case ast.If():
            return Level.IF
        case ast.Choice():
            return Level.CHOICE
        case ast.Pipe():
            return Level.PIPE
        case ast.Binary(op):
            return _BINARY[op]
        case ast.Unary(op):
            return Level.NOT if op == "not" else Level.NEGATION
        case ast.Pick() | ast.Take() | ast.Earlier():
            return Level.PREFIX
    return Level.POSTFIX


def expression_doc(expr: ast.Expr, least: Level = Level.IF) -> Doc:
    """An expression, in parentheses where it holds together less tightly than ``least``."""
    return brackets("(", [_bare(expr)], ")") if _level(expr) < least else _bare(expr)


def value_doc(expr: ast.Expr) -> Doc:
    """An expression behind ``=``: the bars of a broken choice stand below it."""
    return _choice(expr, -len("= ")) if isinstance(expr, ast.Choice) else expression_doc(expr)


def _bare(expr: ast.Expr) -> Doc:
    """An expression without parentheses around it."""
    match expr:
        case ast.If(cond, then, orelse):
            parts = (("then ", expression_doc(then)), ("else ", expression_doc(orelse)))
            return _broken(("if ", expression_doc(cond, Level.OR)), parts)
        case ast.Choice():
            return _choice(expr)
        case ast.Pipe((first, *rest)):
            stages = (("-> ", expression_doc(stage, Level.POSTFIX)) for stage in rest)
            return _broken(expression_doc(first, Level.PREFIX), stages)
        case ast.Binary():
            return _binary(expr)
        case ast.Unary(op, operand):
            return (
                ("not ", expression_doc(operand, Level.NOT))
                if op == "not"
                else (op, expression_doc(operand, Level.NEGATION))
            )
        case ast.Earlier(family):
            return "earlier ", family.name
        case ast.Take(end, count, bundle):
            return end.value, " ", _count(count), "of ", expression_doc(bundle, Level.PREFIX)
        case ast.Pick(count, bundle):
            return "pick ", "any " if count is None else _count(count), "of ", expression_doc(bundle, Level.PREFIX)
    return _postfix(expr)


def _postfix(expr: ast.Expr) -> Doc:
    """An expression that never needs parentheses: a name, a literal, a call, a field, an index."""
    match expr:
        case ast.Number(text):
            return text
        case ast.String(text):
            return quoted(text)
        case ast.Name(name):
            return name
        case ast.Tuple(items):
            return brackets("(", map(expression_doc, items), ")")
        case ast.Field(base, ident):
            return expression_doc(base, Level.POSTFIX), ".", ident.name
        case ast.Index(base, indices):
            return expression_doc(base, Level.POSTFIX), brackets("[", map(_index, indices), "]")
        case ast.Copy(base, label):
            plain = isinstance(label, ast.Name | ast.Number)
            shown = _postfix(label) if plain else brackets("(", [expression_doc(label)], ")")
            return expression_doc(base, Level.POSTFIX), "@", shown
        case ast.Call(func, args):
            return expression_doc(func, Level.POSTFIX), brackets("(", map(argument_doc, args), ")")
        case ast.Each(bundle):
            return "each ", expression_doc(bundle, Level.PREFIX)
    raise TypeError(f"not an expression: {expr!r}")


def _broken(first: Doc, rest: Iterable[Doc]) -> Doc:
    """Parts that go on lines of their own, indented, if they don't fit on one."""
    return Group((first, Nest(tuple((SPACE, part) for part in rest))))


def _binary(expr: ast.Binary) -> Doc:
    level = _BINARY[expr.op]
    if level == Level.POWER:
        return _broken(expression_doc(expr.left, Level.PREFIX), [("** ", expression_doc(expr.right, Level.NEGATION))])
    terms: list[Doc] = []
    left: ast.Expr = expr
    while isinstance(left, ast.Binary) and _BINARY[left.op] == level and (level in _CHAINED or not terms):
        terms.append((left.op, " ", expression_doc(left.right, Level(level + 1))))
        left = left.left
    return _broken(expression_doc(left, Level(level + 1)), reversed(terms))


def _choice(choice: ast.Choice, offset: int = 0) -> Doc:
    return Group(Hang(join((SPACE, "| "), map(item_doc, choice.items)), offset))


def item_doc(item: ast.Item) -> Doc:
    """An item of a choice, with its weight and its guard."""
    if isinstance(item.value, ast.Dots):
        return ".."
    value = expression_doc(item.value, Level.PIPE)
    clauses = (("weight ", item.weight, Level.SUM), ("if ", item.guard, Level.OR))
    rest = [(word, expression_doc(expr, level)) for word, expr, level in clauses if expr is not None]
    return _broken(value, rest) if rest else value


def _index(index: ast.Expr | ast.Range) -> Doc:
    if isinstance(index, ast.Range):
        return expression_doc(index.low, Level.SUM), " .. ", expression_doc(index.high, Level.SUM)
    return expression_doc(index)


def argument_doc(arg: ast.Arg) -> Doc:
    """An argument of a call, with the name of its parameter where it has one."""
    return expression_doc(arg.value) if arg.name is None else (arg.name, " = ", value_doc(arg.value))


def _count(count: ast.Expr | ast.Range | None) -> Doc:
    match count:
        case None:
            return ""
        case ast.Range(ast.Number() | ast.Name() as low, ast.Number() | ast.Name() as high):
            return _postfix(low), "..", _postfix(high), " "
        case ast.Range():
            return _index(count), " "
    return expression_doc(count, Level.SUM), " "


def quoted(text: str) -> str:
    """A text between double quotes, escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
