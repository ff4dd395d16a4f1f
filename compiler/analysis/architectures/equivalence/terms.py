"""A text with its decisions made, as a small graph of terms: what two architectures are compared by.

A vertex is an operation, or a sum, or an instance of a copy; lines and what they are called leave no trace. Operations
are opened only where they were handed definitions. Labels may be variables: a decision that changes nothing but the
label of one vertex need not be made, and a copy with choices of its own is compared by itself (`unique`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import cached_property
from typing import TypeAlias

from compiler.elaborate import Copy, Elaborated
from compiler.elaborate.values import Tensor
from compiler.ir.decision import Selection
from compiler.ir.existence import Selected, follow
from compiler.ir.graph import Block, Call, Payload, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather, Operator
from compiler.ir.undecided import Open, Var, settle
from compiler.program.equivalence import Dead, Equivalence, Identity, Sums, Zero

Label = tuple[object, ...]


class Constant(Enum):
    """A tensor that no weight or input changes."""

    ZERO = auto()


ZERO: Label = (Constant.ZERO,)

Role: TypeAlias = "Constant | int | None"
"""What an operation is to an equivalence: a constant, the input of this slot unchanged, or (None) itself."""


@dataclass(frozen=True)
class Variable:
    """A part of a label that is one of a domain."""

    name: str
    domain: frozenset[object]


@dataclass(frozen=True)
class Term:
    """A vertex, by its label and the positions of its sources."""

    label: Label
    sources: tuple[int, ...] = ()

    @property
    def combines(self) -> Operator | None:
        """The operator whose inputs it combines in any order; concatenated, that orders the channels another way."""
        head = self.label[0]
        return head if isinstance(head, Operator) and head.commutative else None

    @property
    def symmetric(self) -> bool:
        """Whether its sources have no order."""
        return self.combines is not None

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in its labels."""
        return tuple(part for part in self.label if isinstance(part, Variable))


@dataclass(frozen=True, eq=False)
class Step:
    """A node of a graph; ``what`` it applies with ``params``, where it is one operation."""

    payload: Payload
    sources: tuple[int, ...]
    what: object = None
    params: Mapping[str, object] = field(default_factory=dict)
    role: Role = None
    keeps_zero: bool = False

    @cached_property
    def label(self) -> Label | None:
        """Its label, unless that depends on decisions."""
        if any(isinstance(value, Var) for value in self.params.values()):
            return None
        return (self.what, *((name, _told(value)) for name, value in self.params.items()))


@dataclass(eq=False)
class Reader:
    """Reads the texts of a space into terms.

    Args:
        space: the space.
        copies: the variable of each copy that is compared by itself, by path.
        same: the equivalence that says what leaves no trace.
    """

    space: Elaborated
    copies: Mapping[str, Variable]
    same: Equivalence
    known: dict[int, tuple[SpaceGraph, dict[int, Step]]] = field(default_factory=dict)
    lines: dict[int, tuple[int, ...]] = field(default_factory=dict)

    def terms(
        self,
        copy: Copy,
        chosen: Selection,
        labels: Mapping[str, Variable] | None = None,
        copies: Mapping[str, Variable] | None = None,
    ) -> list[Term]:
        """The terms of a copy under decisions, inputs first and the output last.

        The decisions of ``labels`` need not be made; ``copies`` are labels of copies, for this once.
        """
        return _Reading(self, chosen, labels or {}, copies or {}).text(copy)

    def is_plain(self, block: Block) -> bool:
        """Whether its name and numbers identify an operation: no definition was handed to it, no copy is in it."""
        if any(not is_number(value) for value in block.params.values()):
            return False
        known = {name for value in block.params.values() if isinstance(value, Var) for name in value.decisions}
        return all(not self.is_copy(inner) for inner in blocks_in(block.graph)) and decisions_in(block.graph) <= known

    def name(self, block: Block) -> str:
        """What an operation, or a cell without choices, is called: a cell by its definition, whatever its label."""
        copy = self.space.copies.get(block.copy or "")
        return block.name if copy is None else f"{copy.definition.copy} of {copy.instance.unit.source.name}"

    def role(self, payload: Payload) -> Role:
        """The role of an operation as a whole."""
        if not isinstance(payload, Call):
            return role_of(payload.op) if isinstance(payload, Prim) else None
        graph = payload.block.graph
        assert graph.output is not None
        return None if self.is_copy(payload.block) or decisions_in(graph) else _role(graph, graph.output)

    def steps(self, graph: SpaceGraph) -> dict[int, Step]:
        """The nodes of a graph as steps, made once for all architectures."""
        found = self.known.get(id(graph))
        if found is None:
            steps = {index: self.step(node.payload, graph.sources(index)) for index, node in graph.order()}
            # The graph is kept along, or its id could be another's later.
            found = self.known[id(graph)] = graph, steps
        return found[1]

    def named(self, graph: SpaceGraph) -> tuple[int, ...]:
        """The nodes that are values of lines."""
        if id(graph) not in self.lines:
            nodes = ((i, node) for i, node in graph.order() if node.line and not isinstance(node.payload, Input))
            self.lines[id(graph)] = tuple(index for index, _ in nodes)
        return self.lines[id(graph)]

    def step(self, payload: Payload, sources: tuple[int, ...]) -> Step:
        """What a node does to its sources."""
        match payload:
            case Prim(op=op) if not op.commutative:
                return Step(payload, sources, op.called, dict(op.attributes), self.role(payload), keeps_zero(payload))
            case Call(block=block) if self.is_copy(block) or self.is_plain(block):
                what = self.copies.get(block.copy or "", self.name(block))
                return Step(payload, sources, what, block.params, self.role(payload), keeps_zero(payload))
        return Step(payload, sources)

    def is_copy(self, block: Block) -> bool:
        """Whether a block is a copy with choices of its own."""
        return block.copy is not None and block.copy in self.copies


def _told(value: object) -> object:
    """A parameter in a label; open widths are alike, since they follow from the graph."""
    return "open" if isinstance(value, Open) else value if is_number(value) else None


def is_number(value: object) -> bool:
    """Whether a parameter is plain, maybe undecided."""
    return isinstance(value.values[0] if isinstance(value, Var) else value, int | float | str | Open)


def blocks_in(graph: SpaceGraph) -> Iterator[Block]:
    """All blocks in a graph, at any depth."""
    for _, node in graph.order():
        if isinstance(node.payload, Call):
            yield node.payload.block
            yield from blocks_in(node.payload.block.graph)


def decisions_in(graph: SpaceGraph, closed: Callable[[Block], bool] = lambda _: False) -> set[str]:
    """All decisions that a graph reads, at any depth but not inside blocks that are ``closed``."""
    found: set[str] = set()
    for _, node in graph.order():
        match node.payload:
            case Mix(decisions=names):
                found.update(names)
            case Weigh(decision=name):
                found.add(name)
            case Prim(op=op):
                found |= op.decisions
            case Call(block=block):
                found |= set() if closed(block) else decisions_in(block.graph, closed)
                found.update(n for v in block.params.values() if isinstance(v, Var) for n in v.decisions)
    return found


@dataclass(eq=False)
class _Reading:
    reader: Reader
    chosen: Selection
    labels: Mapping[str, Variable]
    copies: Mapping[str, Variable]
    made: list[Term] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rule = Selected(self.chosen)

    def text(self, copy: Copy) -> list[Term]:
        graph = copy.body.graph
        inputs = [self.add(("input", slot)) for slot, _ in enumerate(graph.inputs)]
        value = self.values(graph, inputs)
        assert graph.output is not None
        output = value(graph.output)
        roots = [self.add(("output",), () if output is None else (output,))]
        if self.reader.same.dead is Dead.KEPT and not copy.body.prune:
            roots += [found for index in self.lines(copy) if (found := value(index)) is not None]
        return self.finished(roots)

    def lines(self, copy: Copy) -> Iterator[int]:
        """The nodes of a text that exist whether or not they are read: its lines, up to where each family ends."""
        beyond: set[int] = set()
        for family in copy.body.families.values():
            if family.size is not None:
                end = family.size.numbers[self.chosen[family.size.path][0]]
                late = [value for (first, *_), value in family.elements.items() if first >= end]
                beyond |= {value.index for value in late if isinstance(value, Tensor)}
        for index in self.reader.named(copy.body.graph):
            if index not in beyond:
                yield index

    def finished(self, roots: Sequence[int]) -> list[Term]:
        """The terms that the roots need, in the order of their making; the output is the last."""
        needed: set[int] = set()
        pending = list(roots)
        while pending:
            index = pending.pop()
            if index not in needed:
                needed.add(index)
                pending += self.made[index].sources
        kept = [index for index in sorted(needed) if index != roots[0]] + [roots[0]]
        place = {index: rank for rank, index in enumerate(kept)}
        return [Term(term.label, tuple(place[s] for s in term.sources)) for term in (self.made[i] for i in kept)]

    def add(self, label: Label, sources: tuple[int, ...] = ()) -> int:
        self.made.append(Term(label, sources))
        return len(self.made) - 1

    def values(self, graph: SpaceGraph, inputs: Sequence[int]) -> Callable[[int], int | None]:
        """What makes each node of a graph a term, when it is asked for; None where it is missing."""
        known: dict[int, int | None] = dict(zip(graph.inputs, inputs, strict=True))
        steps = self.reader.steps(graph)

        def value(index: int) -> int | None:
            labels = self.needed(index, steps, known)
            for at in sorted(labels):
                rule = _Terms(self, steps[at], labels[at])
                known[at] = follow(steps[at].payload, [known.get(source) for source in steps[at].sources], rule)
            return known[index]

        return value

    def needed(
        self, index: int, steps: Mapping[int, Step], known: Mapping[int, int | None]
    ) -> dict[int, Variable | None]:
        """The nodes that a node is made of under the decisions, as far as they are not known, each with its label."""
        found: dict[int, Variable | None] = {}
        pending: list[tuple[int, Variable | None]] = [(index, None)]
        while pending:
            at, label = pending.pop()
            if at in known or at in found:
                continue
            found[at] = label
            payload, below = steps[at].payload, None
            if isinstance(payload, Mix) and len(payload.decisions) == 1:
                below = self.labels.get(payload.decisions[0])
            for slot, source in enumerate(steps[at].sources):
                if self.rule.reads(payload, slot, steps[source].payload):
                    pending.append((source, below))
        return found

    def made_of(self, step: Step, fed: Sequence[int], label: Variable | None) -> int:
        """The term of an operation all of whose sources exist; of one that is opened, that of its output."""
        if step.what is not None:
            return self.applied(step, fed, label)
        match step.payload:
            case Prim(op=op):
                return self.joined(op, list(fed))
            case Call(block=block):
                assert block.graph.output is not None
                output = self.values(block.graph, fed)(block.graph.output)
                assert output is not None, "an operation that is fed has an output"
                return output
        raise AssertionError("inputs are known")

    def label(self, step: Step) -> Label:
        """The label of an operation; parameters that only a label depends on stay variables."""
        what = self.copies.get(step.what.name, step.what) if isinstance(step.what, Variable) else step.what
        if step.label is not None:
            return (what, *step.label[1:])
        parts: list[object] = [what]
        variables: dict[str, Variable] = {}
        for name, value in step.params.items():
            if not isinstance(value, Var):
                parts.append((name, value if is_number(value) else None))
            elif len(value.decisions) == 1 and value.decisions[0] in self.labels:
                variables[value.decisions[0]] = self.labels[value.decisions[0]]
            else:
                assignment = tuple(self.chosen[path][0] for path in value.decisions)
                parts.append((name, settle(value, value.decisions, assignment)))
        return (*parts, *variables.values())

    def applied(self, step: Step, fed: Sequence[int], variable: Variable | None) -> int:
        """An operation of its sources, unless the equivalence sees through it."""
        same = self.reader.same
        if step.role is Constant.ZERO and same.zero is not Zero.KEPT:
            return self.add(ZERO)
        if isinstance(step.role, int) and same.identity is Identity.TRANSPARENT:
            return fed[step.role]
        if fed and all(self.made[source].label == ZERO for source in fed):
            through = same.zero is Zero.TERM or same.dead is Dead.UNCONNECTED
            if through or (same.zero is Zero.VANISHING and step.keeps_zero):
                return self.add(ZERO)
        return self.add(self.label(step) if variable is None else (variable,), tuple(fed))

    def joined(self, op: Operator, terms: list[int]) -> int:
        """A sum, a product or a concatenation of what is there."""
        same = self.reader.same
        is_sum = op.gather is Gather.SUM
        drops = is_sum or (op.gather is Gather.CONCATENATION and same.dead is Dead.UNCONNECTED)
        if drops and same.zero in (Zero.ABSENT, Zero.VANISHING):
            terms = [term for term in terms if self.made[term].label != ZERO]
            if not terms:
                return self.add(ZERO)
        if is_sum and same.sums is Sums.FLAT:
            nested = [self.made[term].sources if self.made[term].label == (op,) else (term,) for term in terms]
            terms = [term for part in nested for term in part]
        return terms[0] if len(terms) == 1 else self.add((op,), tuple(terms))


@dataclass(frozen=True)
class _Terms:
    """The rule of existence over terms, among what decisions take: None stands for what is missing or not taken."""

    reading: _Reading
    step: Step
    label: Variable | None

    def candidate(self, payload: Weigh, source: int | None) -> int | None:
        """That of its source."""
        return source

    def mixture(self, payload: Mix, sources: Sequence[int | None]) -> int | None:
        """That of the selected item."""
        taken = tuple(self.reading.chosen[path][0] for path in payload.decisions)
        return next(source for source, row in zip(sources, payload.rows, strict=True) if taken in row)

    def gathered(self, sources: Sequence[int | None]) -> int | None:
        """One of those that exist."""
        found = [source for source in sources if source is not None]
        return self.reading.made_of(self.step, found, self.label) if found else None

    def applied(self, sources: Sequence[int | None]) -> int | None:
        """One of all sources."""
        found = [source for source in sources if source is not None]
        return None if len(found) < len(sources) else self.reading.made_of(self.step, found, self.label)


def role_of(op: Operator) -> Role:
    """The role of a primitive."""
    return Constant.ZERO if op.zero else 0 if op.identity else None


def _role(graph: SpaceGraph, index: int) -> Role:
    node, sources = graph.node(index), graph.sources(index)
    match node.payload:
        case Input(index=slot):
            return slot
        case Prim(op=op) if op.slices_channels and node.shape == graph.node(sources[0]).shape:
            return _role(graph, sources[0])
        case Prim(op=op):
            role = role_of(op)
            return _role(graph, sources[role]) if isinstance(role, int) else role
        case Call(block=block):
            assert block.graph.output is not None
            role = _role(block.graph, block.graph.output)
            return _role(graph, sources[role]) if isinstance(role, int) else role
    return None


def keeps_zero(payload: Payload) -> bool:
    """Whether an operation makes zeros of zeros."""
    match payload:
        case Prim(op=op):
            return op.preserves_zero
        case Call(block=block):
            return all(keeps_zero(node.payload) for _, node in block.graph.order())
    return isinstance(payload, Input)
