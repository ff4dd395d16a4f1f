"""Texts with `prune`: what the output does not reach does not exist, nor do its choices. Counted exactly.

So are texts without it whose `require` mentions a structural quantity: there every line must exist.

Where a pick of any number takes nothing, an operation on it does not exist either, while a
sum or a concatenation goes without it. What is chosen must exist, and so must the output.

The nodes of a text are walked from the output back. A state is what the choices so far demand of the nodes still to
come, with the decisions that must still be agreed on, the copies that exist, and the values so far of the quantities
that a `require` of the text mentions. States that coincide are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from compiler.elaborate import Copy
from compiler.elaborate.values import Tensor
from compiler.ir.combinatorics.circuit import ONE, Circuit, Made, both, either
from compiler.ir.combinatorics.count_formula import Tag
from compiler.ir.conditions import totals
from compiler.ir.decision import Decision
from compiler.ir.graph import Block, Call, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.quantities import Condition
from compiler.ir.sums import Item, Sum, Sums

from .errors import Uncountable

# ---------------------------------------------------------------- the nodes of a text in one list


@dataclass(frozen=True)
class Output:
    """The output of a text, after all its nodes."""


Payload: TypeAlias = "Input | Prim | Mix | Weigh | Sum | Sums | Item | Block | Output"


@dataclass(frozen=True)
class _Step:
    """A node of a text, or of an operation in it; ``sources`` are positions of earlier steps."""

    payload: Payload
    sources: tuple[int, ...]

    @property
    def decisions(self) -> frozenset[str]:
        """The decisions that it reads itself."""
        match self.payload:
            case Prim(op=op):
                return op.decisions
            case Mix(decisions=decisions):
                return frozenset(decisions)
            case Weigh(decision=decision):
                return frozenset([decision])
        return frozenset()

    @property
    def copy(self) -> Block | None:
        """The copy that it is an instance of."""
        return self.payload if isinstance(self.payload, Block) and self.payload.copy is not None else None

    @property
    def gathers(self) -> bool:
        """Whether it makes do with those of its sources that exist."""
        return isinstance(self.payload, Prim) and self.payload.op.gather is not None

    @property
    def quantity(self) -> str | None:
        """The quantity that grows by one where it exists."""
        match self.payload:
            case Weigh():
                return "edges"
            case Prim(name=name) | Block(name=name):
                return f"count({name})"
        return None


def steps_of(graph: SpaceGraph, every: bool = False, places: dict[int, int] | None = None) -> list[_Step]:
    """The nodes of a graph, sources first and the output last; copies stay closed. ``places`` gets where each went.

    Operations are opened where that can matter: where they hold a choice or a copy, join tensors, or in ``every`` case.
    """
    steps: list[_Step] = []
    plain: dict[int, bool] = {}

    def closed(block: Block) -> bool:
        if id(block) not in plain:
            parts = (node.payload for _, node in block.graph.order())
            plain[id(block)] = len(block.graph.inputs) == 1 and all(
                closed(part.block) if isinstance(part, Call) else not _Step(part, ()).decisions for part in parts
            )
        return block.copy is None and plain[id(block)]

    def add(payload: Payload, sources: tuple[int, ...]) -> int:
        steps.append(_Step(payload, sources))
        return len(steps) - 1

    def visit(graph: SpaceGraph, inputs: Sequence[int] | None) -> int:
        at: dict[int, int] = {}
        for index, node in graph.order():
            sources = tuple(at[source] for source in graph.sources(index))
            match node.payload:
                case Input(index=slot) if inputs is not None:
                    at[index] = inputs[slot]
                case Call(block) if block.copy is None and (every or not closed(block)):
                    at[index] = add(block, (visit(block.graph, sources),))
                case Call(block):
                    at[index] = add(block, sources)
                case payload:
                    at[index] = add(payload, sources)
        if inputs is None and places is not None:
            places.update(at)
        assert graph.output is not None
        return at[graph.output]

    add(Output(), (visit(graph, None),))
    return steps


def _inside(block: Block) -> Iterator[_Step]:
    """All steps of a copy and of the copies in it."""
    for step in steps_of(block.graph):
        yield step
        if step.copy is not None:
            yield from _inside(step.copy)


# ---------------------------------------------------------------- from the output back


@dataclass(frozen=True)
class _State:
    """``demands`` says which steps to come must exist, and which must not; ``made`` what this step decides.

    A decision is tagged with the item that it takes, a pick with how many it has taken so far (-1: it takes nothing).
    """

    demands: frozenset[tuple[int, bool]]
    tags: frozenset[Tag]
    grades: tuple[int, ...]
    made: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def demand(self, step: int) -> bool | None:
        return True if (step, True) in self.demands else False if (step, False) in self.demands else None

    def tag(self, name: str) -> int | None:
        return next((tag[1] for tag in self.tags if not isinstance(tag, str) and tag[0] == name), None)

    def met(self, step: int) -> _State:
        return replace(self, demands=self.demands - {(step, True), (step, False)})

    def asking(self, steps: Iterable[int], exist: bool = True) -> Iterator[_State]:
        """With a demand on more steps; nothing where that contradicts one made before."""
        more = frozenset((step, exist) for step in steps)
        if not any((step, not exist) in self.demands for step, _ in more):
            yield replace(self, demands=self.demands | more)

    def without(self, names: Iterable[str]) -> _State:
        return replace(self, tags=frozenset(tag for tag in self.tags if isinstance(tag, str) or tag[0] not in names))

    def tagged(self, name: str, value: int, *taken: int) -> _State:
        """With what a pick has come to, and the candidates that it takes by that."""
        return replace(self, tags=self.without([name]).tags | {(name, value)}, made=(*self.made, (name, taken)))


class Walk:
    """The ways to choose in a text."""

    def __init__(
        self, copy: Copy, decisions: Mapping[str, Decision], kept: frozenset[str], conditions: Sequence[Condition]
    ) -> None:
        self.copy = copy
        self.decisions = decisions
        required = {str(total): total for condition in conditions for total in totals(condition)}
        self.quantities = tuple(required)
        self.places: dict[int, int] = {}
        self.steps = steps_of(copy.block.graph, every=bool(required), places=self.places)
        for inner in (inner for step in self.steps if required and step.copy for inner in _inside(step.copy)):
            if inner.quantity in required:
                message = f"`{inner.quantity}` goes on inside the cells of this text, where it cannot be counted"
                raise Uncountable(required[inner.quantity].span, message)
        self.reads = [self._reads(step) for step in self.steps]
        self.first = {name: index for index, names in reversed(list(enumerate(self.reads))) for name in names}
        self.over: dict[int, set[str]] = {}
        for name in self.first.keys() - kept:
            self.over.setdefault(self.first[name], set()).add(name)
        self.sure: list[bool] = []
        for step in self.steps:
            self.sure.append(self._sure(step))
        if required and not copy.body.prune and self._unread():
            message = "a decision of this text is read by nothing in it, so that it cannot be counted under a condition"
            raise Uncountable(next(iter(required.values())).span, message)

    def _reads(self, step: _Step) -> frozenset[str]:
        """The decisions that are made where a step exists: its own, or numbers that are handed to a copy."""
        if step.copy is None:
            return step.decisions
        inside = (name for inner in _inside(step.copy) for name in inner.decisions)
        return frozenset(name for name in inside if self.decisions[name].copy == self.copy.path)

    def _unread(self) -> set[str]:
        """The decisions that no tensor depends on: a number, or a pick, that nothing uses."""
        read = {source for step in self.steps for source in step.sources}
        picks = [
            index for index, step in enumerate(self.steps) if isinstance(step.payload, Weigh) and index not in read
        ]
        sizes = {family.size.path for family in self.copy.body.families.values() if family.size is not None}
        loose = set(self.copy.body.decisions) - (self.first.keys() | sizes)
        return loose.union(*(self.steps[index].decisions for index in picks))

    def _sure(self, step: _Step) -> bool:
        """Whether a step exists wherever it is read."""
        if isinstance(step.payload, Weigh):
            return self.decisions[step.payload.decision].take > 0
        return (any if step.gathers else all)(self.sure[source] for source in step.sources)

    def states(self) -> dict[_State, Circuit]:
        """All ways to choose that the output can exist by."""
        last = len(self.steps) - 1
        states = dict(self.begin(last))
        for index in range(last, -1, -1):
            after: dict[_State, list[Circuit]] = {}
            for state, number in states.items():
                exists = state.demand(index)
                for move in [state] if exists is None else self.moves(index, exists, state.met(index)):
                    rest = move.without(self.over[index]) if index in self.over else move
                    here = both(number, *(Made(*made) for made in move.made)) if move.made else number
                    after.setdefault(replace(rest, made=()) if rest.made else rest, []).append(here)
            states = {state: either(parts) for state, parts in after.items()}
        return states

    def begin(self, last: int) -> Iterator[tuple[_State, Circuit]]:
        """What must exist: the output; without `prune` all that is written, up to where each family ends."""
        text, grades = self.copy.body, (0,) * len(self.quantities)
        if text.prune:
            yield _State(frozenset([(last, True)]), frozenset(), grades), ONE
            return
        graph = self.copy.block.graph
        read = {source for index, _ in graph.order() for source in graph.sources(index)}
        ends = [family for family in text.families.values() if family.size is not None]
        beyond = {value.index for family in ends for value in family.elements.values() if isinstance(value, Tensor)}
        written = {i for i, node in graph.order() if (node.line or i not in read) and i not in beyond}
        sizes = [family.size for family in ends if family.size is not None]
        for items in product(*(range(len(size.items)) for size in sizes)):
            here = set(written)
            for family, size, item in zip(ends, sizes, items, strict=True):
                inside = [value for (i, *_), value in family.elements.items() if i < size.numbers[item]]
                here |= {value.index for value in inside if isinstance(value, Tensor)}
            made = [(size.path, item) for size, item in zip(sizes, items, strict=True)]
            demands = frozenset([(last, True), *((self.places[index], True) for index in here)])
            yield _State(demands, frozenset(made), grades), both(*(Made(path, (item,)) for path, item in made))

    def moves(self, index: int, exists: bool, state: _State) -> Iterator[_State]:
        """What a step leads to that must, or must not, exist."""
        step = self.steps[index]
        match step.payload:
            case Weigh(decision=decision):
                yield from self.weigh(index, decision, state)
            case _ if step.gathers:
                yield from self.gather(step, exists, self.grown(step, state) if exists else state)
            case _ if not exists:
                yield from self.nothing(step, state)
            case Mix(decisions=decisions, rows=rows):
                for item in self.decided(self.reads[index], state):
                    row = tuple(item.tag(name) for name in decisions)
                    for source, mine in zip(step.sources, rows, strict=True):
                        if row in mine:
                            yield from item.asking([source])
            case _:
                here = self.grown(step, state)
                if step.copy is not None and step.copy.copy is not None:
                    here = replace(here, tags=here.tags | {step.copy.copy})
                for item in self.decided(self.reads[index], here):
                    yield from item.asking(step.sources)

    def grown(self, step: _Step, state: _State) -> _State:
        """The state where a step exists: the required quantities that count it grow by one."""
        grades = (grade + (name == step.quantity) for grade, name in zip(state.grades, self.quantities, strict=True))
        return replace(state, grades=tuple(grades))

    def decided(self, names: Iterable[str], state: _State) -> Iterator[_State]:
        """Every way to make decisions that are not made yet."""
        open_ = sorted(name for name in names if state.tag(name) is None)
        for items in product(*(range(len(self.decisions[name].items)) for name in open_)):
            made = list(zip(open_, items, strict=True))
            if all(self.decisions[name].derivable[item] for name, item in made):
                own = tuple((name, (item,)) for name, item in made if self.decisions[name].copy == self.copy.path)
                yield replace(state, tags=state.tags | frozenset(made), made=state.made + own)

    def nothing(self, step: _Step, state: _State) -> Iterator[_State]:
        """A step that must not exist: what it reads must not. No item of a mix may, since one is chosen."""
        loose = [source for source in dict.fromkeys(step.sources) if not self.sure[source]]
        if isinstance(step.payload, Mix) and len(loose) < len(set(step.sources)):
            return
        if not isinstance(step.payload, Mix) and len(loose) > 1:
            name = self.copy.definition.name
            raise Uncountable(self.copy.definition.span, f"'{name}' joins two tensors of which either may not exist")
        if loose:
            yield from state.asking(loose, exist=False)

    def gather(self, step: _Step, exists: bool, state: _State) -> Iterator[_State]:
        """A sum or concatenation: it exists where anything does that it reads."""
        plain: dict[int, None] = {}
        picks: dict[str, list[int]] = {}
        for source in step.sources:
            payload = self.steps[source].payload
            if isinstance(payload, Weigh):
                picks.setdefault(payload.decision, []).append(source)
            else:
                plain[source] = None
        parts: list[tuple[str | None, list[int]]] = [*((None, [source]) for source in plain), *picks.items()]
        choices = [(True,) if self.sure[sources[0]] else (True, False) for _, sources in parts]
        for flags in product(*choices):
            if any(flags) is not exists:
                continue
            states = [state]
            for (pick, sources), flag in zip(parts, flags, strict=True):
                if pick is None:
                    states = [more for one in states for more in one.asking(sources, flag)]
                else:
                    states = [more for one in states for more in self.offer(pick, sources, flag, one)]
            yield from states

    def offer(self, pick: str, sources: list[int], some: bool, state: _State) -> Iterator[_State]:
        """The candidates of a pick, of which some, or none, are taken."""
        before = state.tag(pick)
        if before is None:
            yield from state.tagged(pick, 0).asking(sources) if some else iter([state.tagged(pick, -1)])
        elif (before >= 0) is some:
            yield state

    def weigh(self, index: int, pick: str, state: _State) -> Iterator[_State]:
        """A candidate that a pick may take; the first candidate comes last, when enough must have been taken."""
        step, take, taken = self.steps[index], self.decisions[pick].take, state.tag(pick) or 0
        enough = (take or 1) if index == self.first[pick] else 0
        if taken >= enough:
            yield state
        if enough <= taken + 1 <= (take or taken + 1):
            assert isinstance(step.payload, Weigh)
            more = state.tagged(pick, min(taken + 1, take or 1), step.payload.index)
            yield from self.grown(step, more).asking(step.sources)
