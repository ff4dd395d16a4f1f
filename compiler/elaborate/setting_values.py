"""Plain values of settings and the expressions of the language that say them, both ways."""

from __future__ import annotations

from compiler.ir.numbers import BINARY, tidy
from compiler.searcher.settings.words import Applied, Value
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .errors import ElaborationError


def plain(expr: ast.Expr) -> Value:
    """A setting's expression as a value: a number, a text, a tuple, a word with or without parameters.

    Raises:
        ElaborationError: the expression is none of these, or its arithmetic has no value.
    """
    match expr:
        case ast.Number():
            return expr.value
        case ast.String(value=content):
            return content
        case ast.Name(id="true" | "false" as word):
            return word == "true"
        case ast.Name() | ast.Field(base=ast.Name()):
            return Applied(_word(expr), (), {}, expr.span)
        case ast.Tuple(items=items):
            return tuple(plain(item) for item in items)
        case ast.Unary(op="-", operand=operand):
            value = plain(operand)
            if isinstance(value, int | float):
                return -value
        case ast.Binary(op=op, left=left, right=right) if op in BINARY:
            a, b = plain(left), plain(right)
            if isinstance(a, int | float) and isinstance(b, int | float):
                try:
                    result: Value = tidy(BINARY[op](a, b))
                except (ArithmeticError, TypeError) as error:
                    raise ElaborationError(Code.RANGE, expr.span, f"'{op}' has no value here: {error}") from None
                return result
        case ast.Call(func=ast.Name() | ast.Field(base=ast.Name()) as word, args=args):
            spans = {arg.name or position: arg.span for position, arg in enumerate(args)}
            positional = tuple(plain(arg.value) for arg in args if arg.name is None)
            named = {arg.name: plain(arg.value) for arg in args if arg.name is not None}
            return Applied(_word(word), positional, named, expr.span, spans)
    raise ElaborationError(Code.VALUE, expr.span, "a setting is a number, a text, or a word with its parameters")


def _word(expr: ast.Name | ast.Field) -> str:
    """A word of a setting, which may be an item of another file: `nb.skip`."""
    match expr:
        case ast.Field(base=ast.Name(id=base), name=name):
            return f"{base}.{name}"
        case ast.Name(id=name):
            return name
    raise ElaborationError(Code.VALUE, expr.span, "a word of a setting is a name, or one of another file")


def expression(value: Value) -> ast.Expr:
    """A plain value as the expression that says it.

    Raises:
        ValueError: nothing in the language says it: a number that is not finite, or None.
    """
    match value:
        case bool():
            return ast.Name("true" if value else "false")
        case int() | float() if value == value and abs(value) != float("inf"):
            number = ast.Number(repr(abs(value)))
            return ast.Unary("-", number) if value < 0 else number
        case str():
            return ast.String(value)
        case tuple():
            return ast.Tuple(tuple(expression(item) for item in value))
        case Applied():
            named = [ast.Arg(ast.Ident(name), expression(item)) for name, item in value.kwargs.items()]
            args = (*(ast.Arg(None, expression(item)) for item in value.args), *named)
            base, _, name = value.name.rpartition(".")
            word = ast.Field(ast.Name(base), ast.Ident(name)) if base else ast.Name(name)
            return ast.Call(word, args) if args else word
    raise ValueError(f"nothing in the language says {value}")
