"""`require` statements of an architecture: are they met? What cannot be computed on the graph is left open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hdas_dsl import ast
from hdas_dsl.diagnostics import Code, Diagnostic, Severity

from .cost import Costs
from .elaborate import Elaborated, Requirement
from .elaborate.numbers import BINARY
from .graph import Block, Call


def unmet(space: Elaborated, requirements: Sequence[Requirement] | None = None) -> list[Diagnostic]:
    """A warning for each requirement, its own or those given, that an architecture breaks."""
    if space.is_space:
        return []
    wanted = space.requirements if requirements is None else requirements
    return [found for requirement in wanted if (found := _check(requirement, space)) is not None]


def _check(requirement: Requirement, space: Elaborated) -> Diagnostic | None:
    condition = requirement.condition
    if _value(condition, requirement, space) is not False:
        return None
    quantities = {
        part.span.text: value
        for part in condition.walk()
        if isinstance(part, ast.Name | ast.Call) and (value := _value(part, requirement, space)) is not None
    }
    facts = ", ".join(f"{name} is {value:,}" for name, value in quantities.items())
    message = f"the architecture does not meet `{condition.span.text}`: {facts}"
    return Diagnostic(Code.REQUIRE, condition.span, message, severity=Severity.WARNING)


def _value(node: ast.Node, requirement: Requirement, space: Elaborated) -> float | bool | None:
    """A quantity, number or comparison; None where it is not known."""
    match node:
        case ast.Number():
            return node.value
        case ast.Name(id="params"):
            return Costs().block(space.block).params
        case ast.Name(id="macs"):
            return Costs().block(space.block).macs
        case ast.Call(func=ast.Name(id="count"), args=(ast.Arg(value=ast.Name(id=name)),)):
            return sum(block.name == name for block in _blocks(space.block))
        case ast.Name(id=name):
            bound = requirement.frame.text.bindings.get(name)
            return bound if isinstance(bound, int | float) else None
        case ast.Binary(op="and" | "or" as op, left=left, right=right):
            sides = [_value(left, requirement, space), _value(right, requirement, space)]
            if any(side is not None and bool(side) is (op == "or") for side in sides):
                return op == "or"
            return None if None in sides else op == "and"
        case ast.Binary(op=op, left=left, right=right) if op in BINARY and op != "in":
            a, b = _value(left, requirement, space), _value(right, requirement, space)
            result: float | bool | None = None if a is None or b is None else BINARY[op](a, b)
            return result
    return None


def _blocks(block: Block) -> Iterator[Block]:
    """All instances inside a block, at any depth."""
    for _, node in block.graph.order():
        if isinstance(node.payload, Call):
            yield node.payload.block
            yield from _blocks(node.payload.block)
