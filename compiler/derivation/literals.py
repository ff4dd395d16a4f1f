"""Values as expressions of the language."""

from __future__ import annotations

from typing import assert_never

from compiler.elaborate.values import (
    Builtin,
    Bundle,
    Compose,
    Copies,
    Deferred,
    Function,
    Menu,
    NamespaceValue,
    Partial,
    Picked,
    Tensor,
    Value,
)
from compiler.ir.undecided import Open, Var
from hdas_dsl.tree import ast

from .references import References


def literal(value: Value, references: References) -> ast.Expr | None:  # noqa: C901 (a table)
    """A value written down; None where the language has no literal for it."""
    match value:
        case bool():
            return ast.Name("true" if value else "false")
        case int() | float():
            if value < 0:
                return ast.Unary("-", ast.Number(_digits(-value)))
            return ast.Number(_digits(value))
        case str():
            return ast.String(value)
        case Open():
            return ast.Name("open")
        case Bundle(items=items):
            parts = _all(items, references)
            return None if parts is None or len(parts) == 1 else ast.Tuple(parts)
        case Function(definition=definition, instance=instance, label=label):
            name = references.reference(definition, instance)
            if label is None:
                return name
            last = label.rpartition("@")[2]
            return ast.Copy(name, ast.Number(last) if last.isdigit() else ast.Name(last))
        case Copies(name=name, definitions=definitions, instance=instance):
            for graph in definitions:
                references.copies_of(Function(graph, instance, str(graph.copy)))
            return ast.Name(name)
        case Menu(definition=menu, instance=instance, args=args):
            return None if args else references.reference(menu, instance)
        case Partial():
            return _partial(value, references)
        case Compose(stages=stages):
            parts = _all(stages, references)
            return None if parts is None else ast.Pipe(parts)
        case Var() | Tensor() | Picked() | Builtin() | NamespaceValue() | Deferred():
            return None
        case _:
            assert_never(value)


def _all(values: tuple[Value, ...], references: References) -> tuple[ast.Expr, ...] | None:
    """All of several values; None where the language has no literal for one of them."""
    parts = [literal(value, references) for value in values]
    kept = tuple(part for part in parts if part is not None)
    return kept if len(kept) == len(parts) else None


def _partial(partial: Partial, references: References) -> ast.Expr | None:
    """``f(k = 3)``; a parameter without a literal stands as ``?``."""
    function = literal(partial.function, references)
    args = [ast.Arg(None, literal(value, references) or ast.Name("?")) for value in partial.positional]
    args += [ast.Arg(ast.Ident(key), literal(value, references) or ast.Name("?")) for key, value in partial.named]
    return None if function is None else ast.Call(function, tuple(args))


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}" if float(f"{value:g}") == value else repr(value)
