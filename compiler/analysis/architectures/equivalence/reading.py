"""Reads the text of a copy into terms, under decisions: only what exists, and as the equivalence sees it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.elaborate import Copy
from compiler.elaborate.values import Tensor
from compiler.ir.decision import Selection
from compiler.ir.existence import Selected, apply_rule
from compiler.ir.graph import Call, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather, Operator
from compiler.ir.undecided import Var, is_plain, settle
from compiler.program.equivalence import Dead, Equivalence, Identity, Sums, Zero

from .operations import Operations, Step
from .terms import ZERO, Constant, Label, Term, Variable


@dataclass(eq=False)
class Reader:
    """Reads the texts of a space into terms.

    Args:
        operations: the operations of the space, and the copies that are compared by themselves.
        same: the equivalence that says what leaves no trace.
    """

    operations: Operations
    same: Equivalence

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
        for index in self.reader.operations.lines(copy.body.graph):
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
        """A function from each node of a graph to its term, made on demand; None where the node is missing."""
        known: dict[int, int | None] = dict(zip(graph.inputs, inputs, strict=True))
        steps = self.reader.operations.steps(graph)

        def value(index: int) -> int | None:
            labels = self.needed(index, steps, known)
            for at in sorted(labels):
                rule = _Terms(self, steps[at], labels[at])
                known[at] = apply_rule(steps[at].payload, [known.get(source) for source in steps[at].sources], rule)
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
            step, below = steps[at], None
            if isinstance(step.payload, Mix) and len(step.payload.decisions) == 1:
                below = self.labels.get(step.payload.decisions[0])
            for source, under in zip(step.sources, step.under, strict=True):
                if source not in known and (under is None or self.rule.takes(under)):
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
                parts.append((name, value if is_plain(value) else None))
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
        """The term of the source."""
        return source

    def mixture(self, payload: Mix, sources: Sequence[int | None]) -> int | None:
        """The term of the selected item."""
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
