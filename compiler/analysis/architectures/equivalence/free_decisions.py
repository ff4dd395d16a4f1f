"""Decisions that change nothing but the label of one vertex: a text is counted without making them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from compiler.elaborate import Copy, Elaborated
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Call, Payload, SpaceGraph
from compiler.ir.payloads import Mix, Prim
from compiler.ir.undecided import Var
from compiler.program.equivalence import Equivalence, Identity, Zero

from .operations import Operations, decisions_in, keeps_zero
from .terms import Constant, Label, Variable

Params: TypeAlias = Mapping[str, object]


@dataclass(frozen=True)
class FreeDecision:
    """A decision that labels: its first such item stands for the rest of them."""

    first: int
    rest: tuple[int, ...]
    variable: Variable


def free_decisions(space: Elaborated, copy: Copy, operations: Operations, same: Equivalence) -> dict[str, FreeDecision]:
    """The decisions of a text that change nothing but the label of one vertex, at least for some of their items."""
    labels = _Labels(copy.body.graph, operations, same)
    uses = _Uses(copy.body.graph, operations)
    sizes = {family.size.path for family in copy.body.families.values() if family.size is not None}
    found: dict[str, FreeDecision] = {}
    for path in copy.body.decisions:
        decision = space.decisions[path]
        if path in uses.bound | sizes or decision.kind is DecisionKind.PICK:
            continue
        numbers, mixes = uses.numbers.get(path, []), uses.mixes.get(path, [])
        free = None
        if not mixes and len(numbers) == 1:
            free = _number(decision, numbers[0])
        elif not numbers and len(mixes) == 1:
            free = labels.operation(decision, mixes[0])
        if free is not None and free.rest:
            found[path] = free
    return found


class _Uses:
    """Where a graph reads decisions.

    Attributes:
        mixes: the mixtures of items of one decision alone, by its path.
        numbers: the parameters of each vertex that depend on one decision alone, by its path.
        bound: the decisions that are read in any other way.
    """

    def __init__(self, graph: SpaceGraph, operations: Operations) -> None:
        self.mixes: dict[str, list[int]] = {}
        self.numbers: dict[str, list[Params]] = {}
        self.bound: set[str] = set()
        for index, node in graph.order():
            match node.payload:
                case Mix(decisions=(path,)):
                    self.mixes.setdefault(path, []).append(index)
                case Mix(decisions=paths):
                    self.bound.update(paths)
                case Prim(op=op):
                    self._note(dict(op.attributes))
                case Call(block=block) if operations.is_plain(block):
                    self._note(block.params)
                case Call(block=block):
                    self.bound |= decisions_in(block.graph)
                    self.bound.update(n for v in block.params.values() if isinstance(v, Var) for n in v.decisions)

    def _note(self, params: Params) -> None:
        """Note the parameters of a vertex."""
        undecided = {name: value for name, value in params.items() if isinstance(value, Var)}
        self.bound.update(name for value in undecided.values() if len(value.decisions) > 1 for name in value.decisions)
        for path in {value.decisions[0] for value in undecided.values() if len(value.decisions) == 1}:
            self.numbers.setdefault(path, []).append({n: v for n, v in undecided.items() if v.decisions == (path,)})


def _number(decision: Decision, params: Params) -> FreeDecision:
    """A decision that settles parameters of one vertex, and nothing else."""
    items = decision.derivable_items
    given = [(name, value) for name, value in params.items() if isinstance(value, Var)]
    domain = frozenset(tuple((name, value.values[item]) for name, value in given) for item in items)
    return FreeDecision(items[0], items[1:], Variable(decision.path, domain))


class _Labels:
    """Mixtures of operations that differ in their labels alone."""

    def __init__(self, graph: SpaceGraph, operations: Operations, same: Equivalence) -> None:
        self.graph = graph
        self.operations = operations
        self.same = same
        self.readers: dict[int, int] = {}
        for index, _ in graph.order():
            for source in graph.sources(index):
                self.readers[source] = self.readers.get(source, 0) + 1

    def operation(self, decision: Decision, mix: int) -> FreeDecision | None:
        """The largest set of items that are operations of the same tensors, and treat zeros alike if that matters."""
        items = decision.derivable_items
        payload = self.graph.node(mix).payload
        assert isinstance(payload, Mix)
        groups: dict[tuple[bool, tuple[int, ...]], dict[int, Label]] = {}
        for source, row in zip(self.graph.sources(mix), payload.rows, strict=True):
            node = self.graph.node(source)
            label = self._label(node.payload)
            mine = [item for (item,) in row if item in items]
            if label is not None and len(mine) == 1 and node.line is None and self.readers[source] == 1:
                keeps = self.same.zero is Zero.VANISHING and keeps_zero(node.payload)
                groups.setdefault((keeps, self.graph.sources(source)), {})[mine[0]] = label
        best = max(groups.values(), key=len, default={})
        if len(set(best.values())) < len(best) or len(best) < 2:
            return None
        first, *rest = sorted(best)
        return FreeDecision(first, tuple(rest), Variable(decision.path, frozenset(best.values())))

    def _label(self, payload: Payload) -> Label | None:
        """The label of an operation that is nothing special to the equivalence."""
        operations, params = self.operations, dict[str, object]()
        match payload:
            case Prim(op=op) if not op.commutative:
                params, name = dict(op.attributes), op.called
            case Call(block=block) if not operations.is_copy(block) and operations.is_plain(block):
                params, name = dict(block.params), operations.name(block)
            case _:
                return None
        role = operations.role(payload)
        if any(isinstance(value, Var) for value in params.values()):
            return None
        if role is Constant.ZERO and self.same.zero is not Zero.KEPT:
            return None
        if isinstance(role, int) and self.same.identity is Identity.TRANSPARENT:
            return None
        return (name, *params.items())
