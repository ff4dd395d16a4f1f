"""The exact count of texts with `prune`: a line that the output does not reach does not exist, nor do its choices.

Texts without `prune` whose `require` mentions a structural quantity are counted here too: there every line must exist.

Where a pick of any number takes nothing, an operation on it does not exist either, while a
sum or a concatenation goes without it. What is chosen must exist, and so must the output.

The nodes of a text are walked from the output back. A state is what the choices so far demand of the nodes still to
come, with the decisions that must still be agreed on, the copies that exist, and the values so far of the quantities
that a `require` of the text mentions. States that coincide are added up: their number grows with the tensors that are
open at once, not with the length of the text. A text with too many of them is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

from compiler.elaborate import Copy
from compiler.elaborate.values import Tensor
from compiler.ir.combinatorics.circuit import ONE, Circuit, Literal, both, either
from compiler.ir.conditions import totals
from compiler.ir.decision import Decision
from compiler.ir.existence import apply_rule
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.quantities import Condition

from .errors import UncountableError
from .state import State
from .steps import Link, Step, depth_first, exists_surely, inside, linked, steps_of

MOST_MOVES = 100_000
"""The most moves from a state to a state in one text, about a second of work."""

STEPS_OF_A_MOVE = 10
"""How many demanded steps of a first state count as one move."""


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
        steps = steps_of(copy.block.graph, every=bool(required), places=self.places)
        self.steps = depth_first(linked(steps, decisions, self.places), self.places)
        for inner in (inner for step in self.steps if required and step.copy for inner in inside(step.copy)):
            for total in filter(inner.grows, required.values()):
                message = f"`{total}` goes on inside the cells of this text, where it cannot be counted"
                raise UncountableError(total.span, message)
        self.growth = [tuple(map(step.grows, required.values())) for step in self.steps]
        self.reads = [self._reads(step) for step in self.steps]
        self.first = {name: index for index, names in reversed(list(enumerate(self.reads))) for name in names}
        self.over: dict[int, set[str]] = {}
        for name in self.first.keys() - kept:
            self.over.setdefault(self.first[name], set()).add(name)
        self._survey()
        self.moves_made = 0
        if required and not copy.body.prune and self._unread():
            message = "a decision of this text is read by nothing in it, so that it cannot be counted under a condition"
            raise UncountableError(next(iter(required.values())).span, message)

    def _survey(self) -> None:
        """Find the steps that surely exist, those of them on which no count depends, and the last offers of sums."""
        self.sure: list[bool] = []
        self.idle: set[int] = set()
        self.readers: list[list[int]] = [[] for _ in self.steps]
        self.last_offers: dict[int, frozenset[int]] = {}
        for index, step in enumerate(self.steps):
            self.sure.append(exists_surely(step, self.sure, self.decisions))
            plain = not self.reads[index] and step.copy is None and not any(self.growth[index])
            if self.sure[index] and plain and self.idle.issuperset(step.sources):
                self.idle.add(index)
            for source in set(step.sources):
                self.readers[source].append(index)
            if step.gathers and not self.sure[index]:
                self.last_offers[min(step.sources)] = self.last_offers.get(min(step.sources), frozenset()) | {index}

    def _reads(self, step: Step) -> frozenset[str]:
        """The decisions that are made where a step exists: its own, or numbers that are handed to a copy."""
        if step.copy is None:
            return step.decisions
        within = (name for inner in inside(step.copy) for name in inner.decisions)
        return frozenset(name for name in within if self.decisions[name].copy == self.copy.path)

    def _unread(self) -> set[str]:
        """The decisions that no tensor depends on: unused numbers and picks."""
        picks = [i for i, step in enumerate(self.steps) if isinstance(step.payload, Weigh) and not self.readers[i]]
        sizes = {family.size.path for family in self.copy.body.families.values() if family.size is not None}
        loose = set(self.copy.body.decisions) - (self.first.keys() | sizes)
        return loose.union(*(self.steps[index].decisions for index in picks))

    def spend(self, moves: int = 1) -> None:
        """Count moves; raises `UncountableError` where there are too many."""
        self.moves_made += moves
        if self.moves_made > MOST_MOVES:
            message = (
                f"the architectures of '{self.copy.definition.name}' are not counted: too much of it is open at once"
            )
            raise UncountableError(self.copy.definition.name_span, message)

    def states(self) -> dict[State, Circuit]:
        """All ways to choose under which the output exists, by the final state.

        Raises:
            UncountableError: the text has too many states.
        """
        last = len(self.steps) - 1
        states = dict(self.begin(last))
        for index in range(last, -1, -1):
            after: dict[State, list[Circuit]] = {}
            unmet = self.last_offers.get(index, frozenset())
            for state, number in states.items():
                exists = state.demand(index)
                for move in [state] if exists is None else self.moves(index, exists, state.met(index)):
                    self.spend()
                    if unmet & move.lacking:
                        continue
                    rest = move.without(self.over[index]) if index in self.over else move
                    here = both(number, *(Literal(*made) for made in move.made)) if move.made else number
                    after.setdefault(rest._replace(made=()) if rest.made else rest, []).append(here)
            states = {state: either(parts) for state, parts in after.items()}
        return states

    def begin(self, last: int) -> Iterator[tuple[State, Circuit]]:
        """The first states: the output must exist; without `prune` every line too, up to where each family ends."""
        text, grades = self.copy.body, (0,) * len(self.quantities)
        if text.prune:
            yield State(frozenset([(last, True)]), frozenset(), grades), ONE
            return
        graph = self.copy.block.graph
        read = {source for index, _ in graph.order() for source in graph.sources(index)}
        ends = [family for family in text.families.values() if family.size is not None]
        beyond = {value.index for family in ends for value in family.elements.values() if isinstance(value, Tensor)}
        written = {i for i, node in graph.order() if (node.line or i not in read) and i not in beyond}
        sizes = [family.size for family in ends if family.size is not None]
        self.spend(prod(len(size.numbers) for size in sizes) * (1 + len(self.steps) // STEPS_OF_A_MOVE))
        for items in product(*(range(len(size.numbers)) for size in sizes)):
            here = set(written)
            for family, size, item in zip(ends, sizes, items, strict=True):
                elements = [value for (i, *_), value in family.elements.items() if i < size.numbers[item]]
                here |= {value.index for value in elements if isinstance(value, Tensor)}
            made = [(size.path, item) for size, item in zip(sizes, items, strict=True)]
            demands = frozenset([(last, True), *((self.places[index], True) for index in here)])
            yield State(demands, frozenset(made), grades), both(*(Literal(path, (item,)) for path, item in made))

    # ------------------------------------------------------------ moves

    def moves(self, index: int, exists: bool, state: State) -> Iterator[State]:
        """The states after a step that must, or must not, exist."""
        step = self.steps[index]
        if isinstance(step.payload, Link):
            yield from state.demanding(step.sources, exist=False)
            yield from self.feeding(index, state).demanding(step.sources)
        else:
            yield from apply_rule(step.payload, step.sources, _Moves(self, index, exists, state))

    def select(self, index: int, payload: Mix, state: State) -> Iterator[State]:
        """A mixture that exists: the item that is selected must."""
        for item in self.decided(self.reads[index], state):
            row = tuple(item.tag(name) for name in payload.decisions)
            for source, mine in zip(self.steps[index].sources, payload.rows, strict=True):
                if row in mine:
                    yield from self.demanding([source], item)

    def apply(self, index: int, state: State) -> Iterator[State]:
        """An operation or a copy that exists: all that it reads must."""
        step = self.steps[index]
        here = self.grown(index, state)
        if step.copy is not None and step.copy.copy is not None:
            here = here._replace(tags=here.tags | {step.copy.copy})
        for item in self.decided(self.reads[index], here):
            yield from self.demanding(step.sources, item)

    def demanding(self, steps: Iterable[int], state: State) -> Iterator[State]:
        """The states in which more steps must exist; idle steps are left out, since they exist and decide nothing."""
        return state.demanding(step for step in steps if step not in self.idle)

    def feeding(self, index: int, state: State) -> State:
        """The state where a step gives its readers something."""
        return state._replace(lacking=state.lacking.difference(self.readers[index])) if state.lacking else state

    def grown(self, index: int, state: State) -> State:
        """The state where a step exists: the required quantities that count it grow by one."""
        if not self.quantities:
            return state
        grades = (grade + grows for grade, grows in zip(state.grades, self.growth[index], strict=True))
        return state._replace(grades=tuple(grades))

    def decided(self, names: Iterable[str], state: State) -> Iterator[State]:
        """Every way to make decisions that are not made yet."""
        open_ = sorted(name for name in names if state.tag(name) is None)
        for items in product(*(range(len(self.decisions[name].items)) for name in open_)):
            self.spend()
            made = list(zip(open_, items, strict=True))
            if all(self.decisions[name].derivable[item] for name, item in made):
                own = tuple((name, (item,)) for name, item in made if self.decisions[name].copy == self.copy.path)
                yield state._replace(tags=state.tags | frozenset(made), made=state.made + own)

    def nothing(self, step: Step, state: State) -> Iterator[State]:
        """A step that must not exist: its source must not. Of a mix no item may exist, since one of them is chosen."""
        loose = [source for source in dict.fromkeys(step.sources) if not self.sure[source]]
        if isinstance(step.payload, Mix) and len(loose) < len(set(step.sources)):
            return
        if not isinstance(step.payload, Mix) and len(loose) > 1:
            name = self.copy.definition.name
            raise UncountableError(
                self.copy.definition.span, f"'{name}' joins two tensors of which either may not exist"
            )
        if loose:
            yield from state.demanding(loose, exist=False)

    def gather(self, index: int, state: State) -> Iterator[State]:
        """A sum or concatenation that exists: at least one of its sources must exist."""
        here = state
        asked: list[int] = []
        for source in self.steps[index].sources:
            payload = self.steps[source].payload
            if isinstance(payload, Weigh):
                before = here.tag(payload.decision)
                if before is None:
                    here = here.tagged(payload.decision, 0).making(payload.decision)
                if before != -1:
                    asked.append(source)
            else:
                asked.append(source)
        yield from self.demanding(asked, here if self.sure[index] else here._replace(lacking=here.lacking | {index}))

    def empty(self, step: Step, state: State) -> Iterator[State]:
        """A sum or concatenation that must not exist: none of its sources exists, and its picks take nothing."""
        here = state
        gone: list[int] = []
        for source in step.sources:
            payload = self.steps[source].payload
            if isinstance(payload, Weigh):
                if here.tag(payload.decision) is None:
                    here = here.making(payload.decision)
                here = here.tagged(payload.decision, -1)
            else:
                gone += self.steps[source].sources
        yield from here.demanding(gone, exist=False)

    def weigh(self, index: int, pick: str, state: State) -> Iterator[State]:
        """A candidate that a pick may take; the first candidate comes last, when enough must have been taken."""
        step, decision, taken = self.steps[index], self.decisions[pick], state.tag(pick) or 0
        enough = decision.least if index == self.first[pick] else 0
        # No state tells apart what makes no difference: more than enough, where all may be taken.
        counted = decision.most if decision.most < len(decision.items) else decision.least
        if taken < 0 or taken >= enough:
            yield state
        if taken >= 0 and enough <= taken + 1 and (taken < decision.most or counted < decision.most):
            assert isinstance(step.payload, Weigh)
            more = state.tagged(pick, min(taken + 1, counted)).making(pick, step.payload.index)
            yield from self.demanding(step.sources, self.feeding(index, self.grown(index, more)))


@dataclass(frozen=True)
class _Moves:
    """The rule of existence backwards: the decisions under which a step exists, or does not."""

    walk: Walk
    index: int
    exists: bool
    state: State

    def candidate(self, payload: Weigh, source: int) -> Iterator[State]:
        """Taken, where its source exists, or not."""
        return self.walk.weigh(self.index, payload.decision, self.state)

    def mixture(self, payload: Mix, sources: Sequence[int]) -> Iterator[State]:
        """The selected item exists; or none of them does."""
        if self.exists:
            return self.walk.select(self.index, payload, self.state)
        return self.walk.nothing(self.walk.steps[self.index], self.state)

    def gathered(self, sources: Sequence[int]) -> Iterator[State]:
        """Some source exists; or none does."""
        step = self.walk.steps[self.index]
        if self.exists:
            return self.walk.gather(self.index, self.walk.grown(self.index, self.state))
        return self.walk.empty(step, self.state)

    def applied(self, sources: Sequence[int]) -> Iterator[State]:
        """All sources exist; or one does not."""
        if self.exists:
            return self.walk.apply(self.index, self.state)
        return self.walk.nothing(self.walk.steps[self.index], self.state)
