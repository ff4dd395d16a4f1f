"""The nodes of a space that exist once its decisions are made; the rule is that of `compiler.ir.existence`.

`absent` follows it from the inputs on: under `prune` a pick may take nothing, and what reads it is
missing too. `existing` follows it from the output back: lines exist unless they lie past the end of their family; what
an expression makes on the way exists where a line that exists needs it; under `prune` lines exist only where the output
needs them.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator
from dataclasses import dataclass

from compiler.elaborate import BodyElaboration, Copy, Elaborated
from compiler.elaborate.values import Bundle, Picked, Tensor, Unknown, Value, flatten, is_tensors
from compiler.ir.decision import Selection
from compiler.ir.existence import ALWAYS, Monomial, Selected, apply_rule, holds
from compiler.ir.graph import Payload, SpaceGraph, is_auxiliary
from compiler.ir.payloads import Weigh
from compiler.ir.undecided import Var, assignments
from compiler.ir.undecided import settle as settle_value
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError

from .remaining import NOTHING_LEFT, Remaining


@dataclass(frozen=True)
class Presence:
    """Decisions that take only what exists; the picks that take nothing; the nodes that do not exist, by graph."""

    chosen: Selection
    empty: frozenset[str]
    absent: frozenset[tuple[SpaceGraph, int]]
    left: Remaining = NOTHING_LEFT

    def exists(self, value: Value) -> bool:
        """Whether anything is there of what an expression stood for."""
        match value:
            case Tensor(graph=graph, index=index):
                return (graph, index) not in self.absent
            case Picked(decision=decision):
                return decision not in self.empty
        return True

    def lacks(self, value: Value) -> bool:
        """Whether part of a bundle is not there, or all of a family, whose searched end leaves it no element."""
        if isinstance(value, Var) and self.settled(value) == Bundle(()):
            return True
        return bool(self.empty or self.absent) and not all(self.exists(part) for part in flatten(self.settled(value)))

    def settled(self, value: Value) -> Value:
        """A value under the decisions that it depends on; as it is where one of these is left open."""
        if not isinstance(value, Var) or any(path in self.left.items for path in value.decisions):
            return value
        return settle_value(value, value.decisions, tuple(self.chosen[path][0] for path in value.decisions))


def settle(space: Elaborated, chosen: Selection) -> Presence:
    """The nodes that exist under decisions, and the decisions among these that such nodes depend on.

    Raises:
        HspError: nothing is left of a text that has an output.
    """
    settled = dict(chosen)
    nothing: set[tuple[SpaceGraph, int]] = set()
    for copy in space.copies.values():
        if may_lack(space, copy):
            gone = absent(copy.body.graph, settled)
            if copy.body.graph.output in gone:
                message = f"these decisions leave nothing of '{copy.path}': its output takes none of what it could"
                raise HspError([Diagnostic(Code.UNDERIVABLE, copy.definition.span, message)])
            nothing |= {(copy.body.graph, index) for index in gone}
    empty = frozenset(path for path, items in settled.items() if not items)
    return Presence(settled, empty, frozenset(nothing))


# ---------------------------------------------------------------- from the inputs on


def may_lack(space: Elaborated, copy: Copy) -> bool:
    """Whether anything can be missing in a copy: only a pick may take nothing, and only under `prune`."""
    return copy.body.prune and not all(space.decisions[path].least for path in copy.body.decisions)


def absent(graph: SpaceGraph, chosen: Selection) -> set[int]:
    """The nodes of a text with `prune` that are missing; picks of them are taken back in ``chosen``."""
    gone: set[int] = set()
    rule = Selected(chosen)
    for index, node in graph.order():
        sources = graph.sources(index)
        if isinstance(node.payload, Weigh) and sources[0] in gone:
            path, candidate = node.payload.decision, node.payload.index
            chosen[path] = tuple(item for item in chosen[path] if item != candidate)
        if not apply_rule(node.payload, [source not in gone for source in sources], rule):
            gone.add(index)
    return gone


# ---------------------------------------------------------------- from the output back


def existing(
    graph: SpaceGraph, body: BodyElaboration | None, chosen: Selection, gone: Collection[int], prune: bool
) -> set[int]:
    """The nodes of a graph that exist under decisions.

    Args:
        graph: of a block.
        body: the body of the copy that the block is an instance of; None for an operation.
        chosen: the items of every decision.
        gone: those that are missing (`absent`).
        prune: whether only what the output needs exists.
    """
    stays = ends(graph, body, chosen, prune)
    found = {index for index, monomials in stays.items() if any(holds(monomial, chosen) for monomial in monomials)}
    found -= set(gone)
    rule = Selected(chosen)
    for index, node in reversed(list(graph.order())):
        if index in found:
            for slot, source in enumerate(graph.sources(index)):
                if source not in gone and rule.reads(node.payload, slot, graph.node(source).payload):
                    found.add(source)
    return found


def ends(
    graph: SpaceGraph, body: BodyElaboration | None, decisions: Container[str], prune: bool
) -> dict[int, set[Monomial]]:
    """The nodes that exist although nothing may need them, each with the items under which it does.

    These are the output; without ``prune`` also what lines hold, and what no node reads.
    """
    assert graph.output is not None
    found: dict[int, set[Monomial]] = {graph.output: {ALWAYS}}
    if prune:
        return found
    read = {source for index, _ in graph.order() for source in graph.sources(index)}
    for index, node in graph.order():
        if index not in read and not is_auxiliary(node):
            found.setdefault(index, set()).add(_taken(node.payload))
        elif body is None and node.line is not None:
            found.setdefault(index, set()).add(ALWAYS)
    for line, value in () if body is None else _lines(body, decisions):
        for items, index in _held(value):
            found.setdefault(index, set()).add(line | items)
    return found


def _taken(payload: Payload) -> Monomial:
    """The items under which a node that nothing reads stays: a candidate of a pick where it is taken."""
    return frozenset([(payload.decision, payload.index)]) if isinstance(payload, Weigh) else ALWAYS


def _lines(body: BodyElaboration, decisions: Container[str]) -> Iterator[tuple[Monomial, Value]]:
    """The values of the lines of a body, each under the items with which its family does not end before it."""
    for value in body.bindings.values():
        if not isinstance(value, Unknown):
            yield ALWAYS, value
    for family in body.families.values():
        size = family.size
        for (first, *_), value in family.elements.items():
            if isinstance(value, Unknown):
                continue
            if size is None or size.path not in decisions or first < min(size.numbers):
                yield ALWAYS, value
            else:
                yield from ((frozenset([(size.path, i)]), value) for i, end in enumerate(size.numbers) if end > first)


def _held(value: Value) -> Iterator[tuple[Monomial, int]]:
    """The nodes that a value holds, each with the items under which it does."""
    match value:
        case Tensor(index=index):
            yield ALWAYS, index
        case Picked(decision=decision, items=items):
            yield from ((frozenset([(decision, number)]), item.index) for number, item in enumerate(items))
        case Bundle(items=parts):
            for part in parts:
                yield from _held(part)
        case Var(decisions=decisions, sizes=sizes, values=values) if is_tensors(value):
            for assignment, part in zip(assignments(sizes), values, strict=True):
                taken = frozenset(zip(decisions, assignment, strict=True))
                yield from ((taken | items, index) for items, index in _held(part))
