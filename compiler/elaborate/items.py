"""Items of a choice that are present where it is read, and what they are together: numbers or not, weighted or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .errors import ElaborationError
from .values import Bundle, Tensor, Value, kind


@dataclass(frozen=True)
class PresentItem:
    """An item of a choice whose guard holds here; a derived architecture may have it where ``derivable``."""

    expr: ast.Expr
    derivable: bool
    weight: float | None = None


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
