"""Does a drawn architecture meet what its space requires?"""

from __future__ import annotations

from collections.abc import Callable

from hdas_dsl import ast

from ..elaborate import Elaborated, Requirement
from ..elaborate.numbers import BINARY
from ..onepath import Path


def holds(space: Elaborated, path: Path) -> bool:
    """Whether an architecture of a space meets all of its requirements that can be computed."""

    def met(requirement: Requirement) -> bool:
        def quantity(node: ast.Node) -> float | None:
            match node:
                case ast.Name(id="params"):
                    return path.params
                case ast.Name(id="macs"):
                    return path.macs
                case ast.Name(id="edges"):
                    return path.edges(requirement.frame.text.copy, space.decisions)
            return None

        return _value(requirement.condition, requirement, quantity) is not False

    return all(met(requirement) for requirement in space.requirements)


def _value(
    node: ast.Node, requirement: Requirement, quantity: Callable[[ast.Node], float | None]
) -> float | bool | None:
    """A quantity, number or comparison; None where it is not known."""
    if isinstance(node, ast.Name | ast.Call) and (known := quantity(node)) is not None:
        return known
    match node:
        case ast.Number():
            return node.value
        case ast.Name(id=name):
            bound = requirement.frame.text.bindings.get(name)
            return bound if isinstance(bound, int | float) else None
        case ast.Binary(op=op, left=left, right=right) if op in BINARY and op != "in":
            a, b = (_value(side, requirement, quantity) for side in (left, right))
            result: float | bool | None = None if a is None or b is None else BINARY[op](a, b)
            return result
    return None
