"""Derivation rules: from alphas to the leading architecture of a space.

`strongest` decides each choice by itself. `best_path` is for texts with `prune`, where a decision exists only along
what the output reaches: of all ways to decide in such a text it takes that of the largest product of probabilities of
the decisions that exist (Liu et al., "Auto-DeepLab", CVPR 2019, section 4.3). It is exact: a dynamic programme from the
output back, whose states are what must exist of the nodes still to come and the decisions on which they depend.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from compiler.elaborate import Copy, Elaborated
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.graph import Block, Call, Node
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.searcher.settings.derivation import BestPath, By, Derivation

from .strongest import strongest

Alphas = Mapping[str, Sequence[float]]


def decided(space: Elaborated, alphas: Alphas, rule: Derivation) -> Selection:
    """What a derivation rule decides.

    Args:
        space: the space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        rule: the rule, with how it measures strength.
    """
    if isinstance(rule, BestPath):
        return best_path(space, alphas, rule.by)
    return strongest(space.decisions, alphas, rule.by)


def best_path(space: Elaborated, alphas: Alphas, by: By) -> Selection:
    """The strongest items, and in texts with `prune` the decisions of the most probable way to reach the output.

    Where there is no way, the strongest items stay.
    """
    chosen = strongest(space.decisions, alphas, by)
    for copy in space.copies.values():
        if copy.body.prune:
            chosen |= _Path(space, copy, alphas, by, chosen).best()
    return chosen


@dataclass(frozen=True)
class _State:
    """What must exist (or must not) of the nodes to come, and the decisions made that they depend on."""

    demands: frozenset[tuple[int, bool]]
    made: frozenset[tuple[str, tuple[int, ...]]]

    def asking(self, nodes: Sequence[int], exist: bool = True) -> Iterator[_State]:
        """With more demands, where they contradict none."""
        if not any((node, not exist) in self.demands for node in nodes):
            yield replace(self, demands=self.demands | {(node, exist) for node in nodes})

    def taken(self, decision: str) -> tuple[int, ...] | None:
        return next((items for name, items in self.made if name == decision), None)


Trail = tuple[str, tuple[int, ...], "Trail | None"]
"""The decisions of a way, last first."""

Move = tuple[_State, tuple[tuple[str, tuple[int, ...]], ...]]
"""A state, and the decisions that led to it."""


class _Path:
    """The ways to decide in a text, from its output back."""

    def __init__(self, space: Elaborated, copy: Copy, alphas: Alphas, by: By, chosen: Selection) -> None:
        self.decisions, self.alphas, self.by, self.chosen = space.decisions, alphas, by, chosen
        self.own = {path for path in copy.body.decisions if path in space.decisions}
        self.graph = copy.block.graph
        self.nodes: dict[int, Node] = dict(self.graph.order())
        self.reads = {index: self._reads(index) for index in self.nodes}
        self.sure: dict[int, bool] = {}
        for index in self.nodes:
            self.sure[index] = self._sure(index)

    def _reads(self, index: int) -> frozenset[str]:
        """The decisions of this text that are made where a node exists."""
        payload = self.nodes[index].payload
        match payload:
            case Mix(decisions=names):
                found = set(names)
            case Prim(op=op) if op.gather is not None:
                weighed = (self.nodes[source].payload for source in self.graph.sources(index))
                found = {part.decision for part in weighed if isinstance(part, Weigh)}
            case Call(block=block):
                found = set(_inside(block))
            case Prim(op=op):
                found = set(op.decisions)
            case _:
                found = set()
        return frozenset(found & self.own)

    def _sure(self, index: int) -> bool:
        """Whether a node exists wherever it is read."""
        payload, sources = self.nodes[index].payload, self.graph.sources(index)
        if isinstance(payload, Weigh):
            return self.decisions[payload.decision].take > 0 and self.sure[sources[0]]
        return (any if _gathers(self.nodes[index]) else all)(self.sure[source] for source in sources)

    def best(self) -> Selection:
        assert self.graph.output is not None
        states: dict[_State, tuple[float, Trail | None]] = {
            _State(frozenset([(self.graph.output, True)]), frozenset()): (0.0, None)
        }
        order = sorted(self.nodes, reverse=True)
        last = {name: min(i for i in order if name in self.reads[i]) for names in self.reads.values() for name in names}
        for index in order:
            after: dict[_State, tuple[float, Trail | None]] = {}
            for state, (worth, trail) in states.items():
                for moved, made in self.moves(index, state):
                    total, way = worth, trail
                    for name, items in made:
                        total, way = total + self.worth(name, items), (name, items, way)
                    kept = frozenset(item for item in moved.made if last[item[0]] < index)
                    moved = replace(moved, made=kept)
                    if total > after.get(moved, (-math.inf, None))[0]:
                        after[moved] = total, way
            states = after
        found: Selection = {}
        _, trail = max(states.values(), key=lambda state: state[0], default=(0.0, None))
        while trail is not None:
            name, items, trail = trail
            found[name] = items
        return found

    # ------------------------------------------------------------ moves

    def moves(self, index: int, state: _State) -> Iterator[Move]:  # noqa: C901
        """What a node leads to that must, or must not, exist."""
        exists = (index, True) in state.demands
        if not exists and (index, False) not in state.demands:
            yield state, ()
            return
        here = replace(state, demands=state.demands - {(index, True), (index, False)})
        node, sources = self.nodes[index], self.graph.sources(index)
        match node.payload:
            case Input():
                if exists:
                    yield here, ()
            case Mix(decisions=names, rows=rows):
                for decided, made in self.deciding(sorted(self.reads[index]), here):
                    row = tuple((decided.taken(name) or self.chosen[name])[0] for name in names)
                    for source, mine in zip(sources, rows, strict=True):
                        if row in mine:
                            yield from ((more, made) for more in decided.asking([source], exists))
            case _ if _gathers(node):
                yield from self.gather(index, exists, here)
            case _ if exists:
                for decided, made in self.deciding(sorted(self.reads[index]), here):
                    yield from ((more, made) for more in decided.asking(sources))
            case _:
                for source in dict.fromkeys(sources):
                    if not self.sure[source]:
                        yield from ((more, ()) for more in here.asking([source], False))

    def deciding(self, names: Sequence[str], state: _State) -> Iterator[Move]:
        """Every way to make the decisions that are not made yet."""
        open_ = [name for name in names if state.taken(name) is None]
        for ways in product(*(self.ways(self.decisions[name]) for name in open_)):
            made = tuple(zip(open_, ways, strict=True))
            yield replace(state, made=state.made | frozenset(made)), made

    def ways(self, decision: Decision) -> list[tuple[int, ...]]:
        """What a decision may take."""
        every = range(len(decision.items))
        if decision.kind is DecisionKind.ANY:
            return [items for size in range(len(every) + 1) for items in combinations(every, size)]
        if decision.kind is DecisionKind.PICK:
            return list(combinations(every, decision.take))
        return [(item,) for item in every if decision.derivable[item]]

    def gather(self, index: int, exists: bool, state: _State) -> Iterator[Move]:
        """A sum or concatenation: it exists where anything does that it reads. What is picked must exist."""
        sources = list(dict.fromkeys(self.graph.sources(index)))
        weighed = {s: p for s in sources if isinstance(p := self.nodes[s].payload, Weigh)}
        plain = [source for source in sources if source not in weighed]
        for decided, made in self.deciding(sorted(self.reads[index]), state):
            picked = [s for s, p in weighed.items() if p.index in (decided.taken(p.decision) or ())]
            if picked and not exists:
                continue
            choices = [(True,) if self.sure[source] else (True, False) for source in plain]
            for flags in product(*choices):
                if (any(flags) or bool(picked)) is not exists:
                    continue
                there = [source for source, flag in zip(plain, flags, strict=True) if flag]
                gone = [source for source, flag in zip(plain, flags, strict=True) if not flag]
                for more in decided.asking([*picked, *there]):
                    yield from ((last, made) for last in more.asking(gone, False))

    # ------------------------------------------------------------ probabilities

    def worth(self, name: str, items: tuple[int, ...]) -> float:
        """The logarithm of the probability of a decision; of a pick between menus, that is in those of its menus."""
        decision = self.decisions[name]
        if decision.candidates:
            return 0.0
        values = np.asarray(self.alphas[name], dtype=float)
        if decision.kind is DecisionKind.ANY:
            return float(values[list(items)].sum() - np.logaddexp(0, values).sum())
        if self.by is By.PROBABILITY or decision.kind is not DecisionKind.OPERATION:
            values = values - np.logaddexp.reduce(values)
        return float(values[list(items)].sum())


def _gathers(node: Node) -> bool:
    return isinstance(node.payload, Prim) and node.payload.op.gather is not None


def _inside(block: Block) -> Iterator[str]:
    """The decisions that anything in a block depends on."""
    for _, node in block.graph.order():
        match node.payload:
            case Call(block=inner):
                yield from _inside(inner)
            case Mix(decisions=names):
                yield from names
            case Prim(op=op):
                yield from op.decisions
