"""Equality of pieces of a tree up to layout, order and spelling: they have equal keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields

from hdas_dsl.tree.ast import Binary, Call, Expr, Ident, Index, Name, Node, Number, Tuple

_LAYOUT = frozenset({"span", "note", "gap"})


def key(value: object) -> str:
    """A text that two nodes, or tuples of nodes, share exactly when they are the same.

    Layout and comments do not count, nor do the order of a sum's terms and of named arguments, and the spelling of an
    element (``n2``, ``n[2]``) or of a number (``4K``, ``4000``).
    """
    if isinstance(value, tuple):
        return f"[{', '.join(map(key, value))}]"
    if not isinstance(value, Node):
        return repr(value)
    if isinstance(value, Expr) and len(terms := terms_of(value)) > 1:
        form = "+" if isinstance(value, Binary) else "sum"
        return f"{form}{{{', '.join(sorted(map(key, terms)))}}}"
    parts: Iterable[object] = (getattr(value, item.name) for item in fields(value) if item.name not in _LAYOUT)
    match value:
        case Number():
            return repr(value.value)
        case Name(id):
            return id
        case Ident(name):
            return repr(name)
        case Index() if (spelled := element_spelling(value)) is not None:
            return spelled
        case Call():
            named = sorted((arg for arg in value.args if arg.name is not None), key=lambda arg: arg.name or "")
            parts = (value.func, *(arg for arg in value.args if arg.name is None), *named)
    return f"{type(value).__name__}({', '.join(map(key, parts))})"


def same(left: object, right: object) -> bool:
    """Whether two nodes, or tuples of nodes, have equal keys."""
    return key(left) == key(right)


def element_spelling(index: Index) -> str | None:
    """``n[2]`` and ``h[3, 1]`` by their other names, ``n2`` and ``h3_1``; None where an index is not a plain number."""
    if not isinstance(index.base, Name):
        return None
    numbers = [item.value for item in index.indices if isinstance(item, Number)]
    if len(numbers) < len(index.indices) or not all(isinstance(number, int) for number in numbers):
        return None
    return index.base.id + "_".join(map(str, numbers))


def terms_of(expr: Expr) -> tuple[Expr, ...]:
    """The terms of ``a + b + c``, ``sum(a, b, c)`` or ``sum((a, b, c))``; anything else is one term."""
    if isinstance(expr, Binary) and expr.op == "+":
        terms: list[Expr] = []
        pending: list[Expr] = [expr]
        while pending:
            part = pending.pop()
            if isinstance(part, Binary) and part.op == "+":
                pending += [part.right, part.left]
            else:
                terms.append(part)
        return tuple(terms)
    if isinstance(expr, Call) and expr.func == Name("sum") and all(arg.name is None for arg in expr.args):
        values = tuple(arg.value for arg in expr.args)
        if len(values) == 1 and isinstance(values[0], Tuple):
            values = values[0].items
        if len(values) > 1:
            return values
    return (expr,)
