"""The items of a choice that are present where it is read: whether they are numbers, and their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .errors import ElaborationError
from .values import Bundle, Deferred, Mention, Menu, Tensor, Value, kind


@dataclass(frozen=True)
class PresentItem:
    """An item of a choice whose guard holds here; a derived architecture may have it where ``derivable``."""

    expr: ast.Expr
    derivable: bool
    weight: float | None = None


def items_of(definition: ast.MenuDef) -> tuple[ast.Item, ...]:
    """The items of a menu, whether present or not; a menu that is not a choice is its only item."""
    value = definition.value
    return value.items if isinstance(value, ast.Choice) else (ast.Item(value, span=value.span),)


def weights_of(present: Sequence[PresentItem]) -> tuple[float, ...]:
    """The weights of items, 1 where the text says none; empty where it says none of any."""
    if all(item.weight is None for item in present):
        return ()
    return tuple(1.0 if item.weight is None else item.weight for item in present)


def numbers_of(values: Sequence[Value], present: Sequence[PresentItem]) -> tuple[int | float, ...]:
    """The values of a choice between numbers; none for one between operations or tensors, which stand by themselves."""
    numbers = tuple(value for value in values if isinstance(value, int | float))
    if len(numbers) == len(values):
        return numbers
    are_tensors = all(isinstance(value, Tensor) for value in values)
    for value, item in zip(values, present, strict=True):
        if isinstance(value, int | float | str | Bundle) or (isinstance(value, Tensor) and not are_tensors):
            raise ElaborationError(
                Code.KIND, item.expr.span, f"{kind(value)} cannot stand beside an operation in a choice"
            )
    return ()


def check_operations(items: Sequence[ast.Item], span: Span) -> None:
    """Refuse a choice of numbers inside a production: it is applied to nothing, so that nothing would decide it."""
    if any(isinstance(item.value, ast.Number | ast.Dots) for item in items):
        hint = "write an item for each number"
        raise ElaborationError(Code.KIND, span, "a grammar chooses between operations, not between numbers", hint)


def hole_of(mention: Mention, instance: Instance, names: Mapping[str, Value]) -> Deferred:
    """A choice inside a production, as a menu of its own whose parameters are the names that it sees."""
    node = mention.node
    assert isinstance(node, ast.Choice)
    check_operations(node.items, node.span)
    params = tuple(ast.Param(ast.Ident(name)) for name in names)
    menu = ast.MenuDef(ast.Ident("choice"), params, node, span=node.span)
    return Deferred(Menu(menu, instance, tuple(names.values()), mention), node)
