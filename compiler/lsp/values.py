"""The values of expressions of a text in its elaboration: shapes, costs, decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.analysis.costs.block_totals import Cost, Costs
from compiler.elaborate import Elaborated
from compiler.elaborate.settled import settled
from compiler.elaborate.values import Bundle, Picked, Tensor, Value
from compiler.ir.decision import Decision
from compiler.program.model import Program
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.units import Unit

MOST = 3
"""How many different shapes of an expression are shown."""


@dataclass(frozen=True, eq=False)
class Occurrence:
    """One passage of the elaborator through an expression: its value, and the decision that it became.

    ``derived`` is whether that depends on the tree of a grammar; it is that of the first one.
    """

    value: Value
    decision: Decision | None
    derived: bool = False


Occurrences: TypeAlias = "Mapping[tuple[int, int], tuple[Occurrence, ...]]"
"""The passages through each expression, by its place in the text."""


def networks_of(program: Program) -> list[Elaborated]:
    """The networks of a program, each once."""
    every = [phase.network for phase in program.phases] + [program.network]
    return list({id(network): network for network in every}.values())


def occurrences_of(program: Program, is_own: Callable[[Source], bool]) -> Occurrences:
    """The occurrences of a file's expressions in the networks of its program; ``is_own`` tells its sources."""
    found: dict[tuple[int, int], list[Occurrence]] = {}
    for network in networks_of(program):
        same = settled(network)
        for copy in network.copies.values():
            for item in copy.body.trace.occurrences():
                if not is_own(item.node.span.source):
                    continue
                path = None if item.choice is None else item.choice.path
                decision = None if path is None else network.decisions.get(path)
                place = item.node.span.start, item.node.span.end
                derived = any(tensor.index >= same.get(tensor.graph, 0) for tensor in tensors(item.value))
                found.setdefault(place, []).append(Occurrence(item.value, decision, derived))
    return {place: tuple(items) for place, items in found.items()}


def tensors(value: Value) -> tuple[Tensor, ...]:
    """The tensors that a value is, or consists of."""
    match value:
        case Tensor():
            return (value,)
        case Bundle(items=items) | Picked(items=items):
            return tuple(item for item in items if isinstance(item, Tensor))
    return ()


def shapes(items: Iterable[Occurrence]) -> str:
    """The shapes of an expression, each once; nothing where it is not a tensor."""
    found: dict[str, None] = {}
    for item in items:
        made = tensors(item.value)
        each = dict.fromkeys(str(tensor.shape) for tensor in made)
        if made:
            found[" ".join(each) if isinstance(item.value, Tensor) else f"{len(made)} of {' '.join(each)}"] = None
    first = list(found)[:MOST]
    return " | ".join(first) + (" | ..." if len(found) > MOST else "")


def derived(items: Iterable[Occurrence]) -> str:
    """The remark on a shape or cost of the first tree of a grammar, since other trees may have another."""
    return " in the first tree" if any(item.derived for item in items) else ""


def cost(items: Iterable[Occurrence]) -> Cost | None:
    """The cost of what computes an expression, where it is the same in all its passages."""
    found: set[Cost] = set()
    costs = Costs()
    for item in items:
        if isinstance(item.value, Tensor):
            graph, index = item.value.graph, item.value.index
            found.add(costs.node(graph, index, graph.node(index)))
    return found.pop() if len(found) == 1 else None


def decisions(items: Iterable[Occurrence]) -> dict[str, Decision]:
    """The decisions that an expression became, by path."""
    return {item.decision.path: item.decision for item in items if item.decision is not None}


def expressions_at(unit: Unit, offset: int) -> list[ast.Node]:
    """The nodes around a place, the innermost first."""
    found = [node for node in unit.module.walk() if node.span.start <= offset <= node.span.end and node.span.end]
    return sorted(found, key=lambda node: node.span.end - node.span.start)
