"""The decisions under which an expression of a space is that of an architecture: two graphs, node by node."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.elaborate.values import Number, is_undecided_number
from compiler.ir.decision import Decision, Selection
from compiler.ir.graph import Block, Call, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.undecided import Open, Var, assignments
from compiler.util.plural import plural

from .found import Effort, Misses, merge

ARGUMENT = re.compile(r"(\w+) = ")
"""The names of arguments in the text of an item."""

MatchInstances = Callable[[Block, Block, Misses], Iterator[Selection]]
"""All ways in which an applied block of the space can be one of the architecture."""


@dataclass
class GraphMatcher:
    """Compares nodes of a graph of the space with nodes of a graph of the architecture.

    Attributes:
        mine, theirs: the graphs.
        decisions: those of the space, by path.
        instances: compares the blocks of two instances.
        pruned: whether what is not there is no error, since what does not exist is not written.
        correspondence: the node of the architecture that stands for an input or a line of the space, by its node there.
        effort: what the comparison has taken so far.
        failed: pairs of nodes that are known not to match, so that no two ways to the same pair look at it again.
    """

    mine: SpaceGraph
    theirs: SpaceGraph
    decisions: Mapping[str, Decision]
    instances: MatchInstances
    effort: Effort
    pruned: bool = False
    correspondence: dict[int, int] = field(default_factory=dict)
    failed: set[tuple[int, int, bool]] = field(default_factory=set)
    misses: Misses = field(default_factory=Misses)

    def unify(self, s: int, a: int, top: bool = False) -> Iterator[Selection]:
        """All ways in which node ``s`` of the space can be node ``a``; at the top, ``a`` is what a line is bound to.

        Below the top a line of the space is a mention of it, and only a mention of the same line matches it.
        """
        self.effort.step()
        if s in self.correspondence or self.mine.node(s).line is not None:
            if self.correspondence.get(s) == a:
                yield {}
        elif (s, a, top) not in self.failed:
            matched = False
            for found in self.expand(s, a, top):
                matched = True
                yield found
            if not matched:
                self.failed.add((s, a, top))

    def expand(self, s: int, a: int, top: bool) -> Iterator[Selection]:
        """All ways in which the expression of node ``s`` can be the one of node ``a``."""
        payload = self.mine.node(s).payload
        match payload:
            case Mix():
                yield from self.mix(s, payload, a, top)
                return
            case Weigh():
                yield from self.unify(self.mine.sources(s)[0], a, top)
                return
            case Prim(op=op) if op.gather is not None and (self.pruned or self.picks(s)):
                yield from self.gather(s, op.gather, a, top)
                return
        other = self.theirs.node(a)
        if other.line is not None and not top:
            return
        match payload, other.payload:
            case Prim(op=op), Prim(op=given) if op.called == given.called:
                for found in self.attributes(dict(op.attributes), dict(given.attributes)):
                    yield from self.sources(s, a, found)
            case Call(block=block), Call(block=like):
                for found in self.attributes(block.params, like.params):
                    for inside in self.instances(block, like, self.misses):
                        if (merged := merge(found, inside)) is not None:
                            yield from self.sources(s, a, merged)

    def picks(self, s: int) -> bool:
        """Whether a sum or concatenation has candidates of a pick among its terms."""
        return any(isinstance(self.mine.node(i).payload, Weigh) for i in self.mine.sources(s))

    def mix(self, s: int, payload: Mix, a: int, top: bool) -> Iterator[Selection]:
        """All ways in which an item of a choice can be node ``a``, with the decision that takes it."""
        decisions = [self.decisions[path] for path in payload.decisions]
        matched = False
        ways = zip(self.mine.sources(s), payload.rows, strict=True)
        for source, row in sorted(ways, key=lambda way: not self.is_same_copy(way[0], a)):
            for found in self.unify(source, a, top):
                for assignment in row:
                    choice: Selection = {d.path: (item,) for d, item in zip(decisions, assignment, strict=True)}
                    if not all(d.derivable[item] for d, item in zip(decisions, assignment, strict=True)):
                        self.misses.note(
                            3, decisions[0].path, f"'{expression(self.theirs, a)}' can be searched over but not derived"
                        )
                    elif (merged := merge(found, choice)) is not None:
                        matched = True
                        yield merged
        if not matched:
            rank = 2 if feeds(self.mine, s) & feeds(self.theirs, a) else 1
            items = " | ".join(decisions[0].items)
            text = expression(self.theirs, a, shown=ARGUMENT.findall(items))
            self.misses.note(rank, decisions[0].path, f"'{text}' is none of {items}")

    def is_same_copy(self, s: int, a: int) -> bool:
        """Whether two nodes are of copies of one path: of those that do the same, it is the one that is meant."""
        mine, theirs = self.mine.node(s).payload, self.theirs.node(a).payload
        return isinstance(mine, Call) and isinstance(theirs, Call) and mine.block.copy == theirs.block.copy

    def gather(self, s: int, how: Gather, a: int, top: bool) -> Iterator[Selection]:
        """Match a sum or concatenation with picks in it: each term with a candidate of its own."""
        other = self.theirs.node(a)
        joined = isinstance(other.payload, Prim) and other.payload.op.gather is how and (top or other.line is None)
        candidates, ordered = terms(self.mine, s, how), how is Gather.CONCATENATION
        if joined:
            yield from self.assign(candidates, terms(self.theirs, a, how), False, ordered, {}, ())
        # What is picked may be a sum itself; and a sum of one is that one.
        yield from self.assign(candidates, (a,), top, ordered, {}, ())

    def assign(
        self,
        candidates: Sequence[int],
        terms: Sequence[int],
        top: bool,
        ordered: bool,
        found: Selection,
        taken: tuple[int, ...],
    ) -> Iterator[Selection]:
        """All ways to give the terms, from the first on, to candidates that no other has; some keep their order."""
        if not terms:
            yield from self.picked(candidates, found, taken)
            return
        if not taken and any(all(next(self.unify(c, t, top), None) is None for c in candidates) for t in terms):
            return  # a term that is not a candidate at all is seen before the others are tried in every order
        for position, candidate in enumerate(candidates):
            if position in taken or (ordered and taken and position < taken[-1]):
                continue
            for more in self.unify(candidate, terms[0], top):
                merged = merge(found, more)
                if merged is not None:
                    grown = (*taken, position)
                    yield from self.assign(candidates, terms[1:], top, ordered, merged, grown)

    def picked(self, candidates: Sequence[int], found: Selection, taken: Sequence[int]) -> Iterator[Selection]:
        """The selection of the picks among the candidates, where each takes as many as it has to."""
        picks: dict[str, list[int]] = {}
        for position, candidate in enumerate(candidates):
            payload = self.mine.node(candidate).payload
            if isinstance(payload, Weigh):
                picks.setdefault(payload.decision, [])
                if position in taken:
                    picks[payload.decision].append(payload.index)
            elif position not in taken and not self.pruned:
                return
        for path, items in picks.items():
            decision = self.decisions[path]
            if not decision.least <= len(items) <= decision.most:
                self.misses.note(3, path, f"it takes {plural(len(items), 'input')}, not {decision.amount}")
                return
        merged = merge(found, {path: tuple(sorted(items)) for path, items in picks.items()})
        if merged is not None:
            yield merged

    def sources(self, s: int, a: int, found: Selection) -> Iterator[Selection]:
        """Match the sources of two nodes in order."""
        left, right = self.mine.sources(s), self.theirs.sources(a)
        if len(left) != len(right):
            return
        ways: list[Selection] = [found]
        for i, j in zip(left, right, strict=True):
            grown = []
            for way in ways:
                for more in self.unify(i, j):
                    if (merged := merge(way, more)) is not None:
                        grown.append(merged)
            ways = grown
        yield from ways

    def attributes(self, mine: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[Selection]:
        """Match parameters: equal, or one value of an undecided number; definitions are compared where used."""
        ways: list[Selection] = [{}]
        for name, value in mine.items():
            given = theirs.get(name)
            if value == given:
                continue
            if is_undecided_number(value):
                settled = settlements(value, given)
                if not settled:
                    distinct = dict.fromkeys(map(str, value.values))
                    self.misses.note(3, value.decisions[-1], f"{given} is not one of {', '.join(distinct)}")
                    return
                ways = [merged for way in ways for more in settled if (merged := merge(way, more)) is not None]
            elif isinstance(value, int | float | bool | str) or isinstance(value, Open) != isinstance(given, Open):
                return
        yield from ways


def settlements(value: Var[Number], given: object) -> list[Selection]:
    """The decisions that settle an undecided number to the given one."""
    return [
        {path: (item,) for path, item in zip(value.decisions, assignment, strict=True)}
        for assignment, number in zip(assignments(value.sizes), value.values, strict=True)
        if number == given
    ]


def feeds(graph: SpaceGraph, index: int) -> set[str]:
    """The lines and inputs that an expression reads."""
    found: set[str] = set()
    seen = set(graph.sources(index))
    pending = list(seen)
    while pending:
        source = pending.pop()
        line = graph.node(source).line
        if line is not None:
            found.add(line)
            continue
        more = set(graph.sources(source)) - seen
        seen |= more
        pending += more
    return found


def terms(graph: SpaceGraph, index: int, how: Gather) -> tuple[int, ...]:
    """The terms of a sum or concatenation; a sum in a sum by its own terms, since addition has no brackets."""
    found: tuple[int, ...] = ()
    for source in graph.sources(index):
        node = graph.node(source)
        is_inner = isinstance(node.payload, Prim) and node.payload.op.gather is how is Gather.SUM
        found += terms(graph, source, how) if is_inner and node.line is None else (source,)
    return found


def expression(graph: SpaceGraph, index: int, top: bool = True, shown: Container[str] = ()) -> str:
    """A node as a short expression over lines; of its own parameters it has those that are ``shown``."""
    node = graph.node(index)
    if node.line is not None and not top:
        return node.line
    parts = [expression(graph, source, False) for source in graph.sources(index)]
    match node.payload:
        case Prim(op=op) if op.gather is Gather.SUM:
            return f" {op.infix} ".join(parts)
        case Prim(op=op, name=name):
            given = [f"{key} = {value}" for key, value in op.attributes if key in shown]
            return f"{name}({', '.join(parts + given)})"
        case Call(block=block):
            given = [f"{key} = {value}" for key, value in block.arguments if key in shown]
            return f"{block.copy or block.name}({', '.join(parts + given)})"
        case Mix(decisions=decisions):
            return f"{decisions[0]}({', '.join(sorted(feeds(graph, index)))})"
        case Weigh():
            return parts[0]
    return node.line or node.name
