"""One architecture of a space, read off its graph: what runs once every decision is made. No torch.

The graph of a space holds every candidate of every choice. Walking back from the output with the decisions
meets only what was chosen, so an architecture costs time in proportion to its own size. What is undecided in the
graph (widths, shapes after a choice) is settled on the way, and widths that are `open` are solved from their readers.
A pick of any number may leave a line without a source; `compiler.ir.existence` has the rule for which nodes then exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.widths import Widths, solve
from compiler.ir.decision import Decision, Selection
from compiler.ir.existence import Existence, apply_rule, gather_of, gathers
from compiler.ir.graph import Block, Node, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.primitives.parameters import Attribute
from compiler.ir.primitives.structure import Add
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var, settle

from .selected_path import Dims, SelectedPath, SelectedStep

Assignments = tuple[tuple[int, ...], ...]
"""Assignments of a mix: one item index per decision each."""


class NothingSelectedError(Exception):
    """The decisions select no network: its output takes none of what it could, or its open widths have no solution."""


class Paths:
    """The architectures of a space, by their decisions.

    A selection may also take several items of a choice that shapes nothing, which then are added up.

    Args:
        graph: the space's flat graph (`passes.flatten`).
        decisions: its decisions, by path.
        keep_zeros: whether zeros that are added to something run all the same.
    """

    def __init__(self, graph: SpaceGraph, decisions: Mapping[str, Decision], keep_zeros: bool = False) -> None:
        self.decisions, self.keep_zeros = decisions, keep_zeros
        self.nodes: list[Node] = []
        self.sources: list[tuple[int, ...]] = []
        place: dict[int, int] = {}
        for index, node in graph.order():
            place[index] = len(self.nodes)
            self.nodes.append(node)
            self.sources.append(tuple(place[source] for source in graph.sources(index)))
        assert graph.output is not None
        self.output = place[graph.output]
        self.undecided = [self._is_undecided(index) for index in range(len(self.nodes))]
        self.may_lack = not all(decision.least for decision in decisions.values())
        self.is_open = any(isinstance(dim, Open) for node in self.nodes for dim in node.shape.dims)
        self._steps: dict[int, SelectedStep] = {}
        self._rows: dict[int, dict[tuple[int, ...], int]] = {}

    def _is_undecided(self, index: int) -> bool:
        node = self.nodes[index]
        dims = [dim for at in (index, *self.sources[index]) for dim in self.nodes[at].shape.dims]
        return any(isinstance(value, Var | Open) for value in (*dims, *_parameters(node)))

    # ------------------------------------------------------------ what runs

    def path(self, chosen: Selection) -> SelectedPath:
        """The architecture of some decisions.

        Raises:
            NothingSelectedError: they leave nothing of it.
        """
        taken = self._taken(chosen)
        self._drop_missing(taken)
        widths = self._widths(taken, chosen) if self.is_open else {}
        used: set[str] = set()
        steps = []
        for index in sorted(taken):
            used.update(self._reads(index))
            steps.append(self._step(index, taken[index], chosen, widths))
        return SelectedPath(tuple(steps), frozenset(used))

    def _taken(self, chosen: Selection) -> dict[int, tuple[int, ...]]:
        """The nodes that the output reaches through the selected items, each with the sources that it reads."""
        taken: dict[int, tuple[int, ...]] = {}
        needed = bytearray(len(self.nodes))
        needed[self.output] = 1
        for index in range(self.output, -1, -1):
            if needed[index]:
                sources = taken[index] = self._chosen(index, chosen)
                for source in sources:
                    needed[source] = 1
        return taken

    def _chosen(self, index: int, chosen: Selection) -> tuple[int, ...]:
        """The sources of a node that decisions leave it."""
        payload, sources = self.nodes[index].payload, self.sources[index]
        match payload:
            case Mix(decisions=names):
                slots = (self._row(index)[assignment] for assignment in product(*(chosen[name] for name in names)))
                return tuple(dict.fromkeys(sources[slot] for slot in slots))
            case payload if gathers(payload):
                return tuple(source for source in sources if self._is_taken(source, chosen))
        return sources

    def ways(self, step: SelectedStep) -> tuple[list[Assignments], Assignments]:
        """The assignments by which a mix takes each of the sources of its step, and those by which it takes none."""
        payload, sources = step.payload, self.sources[step.index]
        assert isinstance(payload, Mix)
        pairs = [(source, way) for source, row in zip(sources, payload.rows, strict=True) for way in row]
        taken = [tuple(way for source, way in pairs if source == each) for each in step.sources]
        return taken, tuple(way for source, way in pairs if source not in step.sources)

    def _is_taken(self, index: int, chosen: Selection) -> bool:
        payload = self.nodes[index].payload
        return not isinstance(payload, Weigh) or payload.index in chosen[payload.decision]

    def _row(self, index: int) -> dict[tuple[int, ...], int]:
        """The source of a mix that an assignment takes."""
        if index not in self._rows:
            payload = self.nodes[index].payload
            assert isinstance(payload, Mix)
            self._rows[index] = {assignment: slot for slot, row in enumerate(payload.rows) for assignment in row}
        return self._rows[index]

    def _drop_missing(self, taken: dict[int, tuple[int, ...]]) -> None:
        """Leave out what does not exist, and zeros where they are added to something; then what nothing reads."""
        gone: set[int] = set()
        zero: set[int] = set()
        changed = False
        for index in sorted(taken):
            payload, sources = self.nodes[index].payload, taken[index]
            op = payload.op if isinstance(payload, Prim) else None
            present = tuple(source for source in sources if source not in gone)
            if not apply_rule(payload, [source not in gone for source in sources], _TAKEN):
                gone.add(index)
            elif op is not None and op.zero and not self.keep_zeros:
                zero.add(index)
            elif zero and (isinstance(payload, Mix | Weigh) or gather_of(self.nodes[index].payload) is Gather.SUM):
                present = tuple(source for source in present if source not in zero) or present[:1]
                if present[0] in zero:
                    zero.add(index)
            changed |= len(present) < len(sources)
            taken[index] = present
        if self.output in gone:
            raise NothingSelectedError("the output takes none of what it could")
        if changed:
            needed = {self.output}
            for index in sorted(taken, reverse=True):
                if index in needed:
                    needed.update(taken[index])
            for index in taken.keys() - needed:
                del taken[index]

    @property
    def shaping(self) -> frozenset[str]:
        """The decisions that parameters or shapes depend on, so that one item of each is to be chosen."""
        shaped = (index for index, undecided in enumerate(self.undecided) if undecided)
        return frozenset(name for index in shaped for name in self._shaped_by(index))

    def _shaped_by(self, index: int) -> tuple[str, ...]:
        """The decisions that the parameters and the shape of a node depend on."""
        node = self.nodes[index]
        values = (*node.shape.dims, *_parameters(node))
        return tuple(name for value in values if isinstance(value, Var) for name in value.decisions)

    def _reads(self, index: int) -> tuple[str, ...]:
        """The decisions that a node itself depends on."""
        node = self.nodes[index]
        found: tuple[str, ...] = ()
        match node.payload:
            case Mix(decisions=names):
                found = names
            case payload if gathers(payload):
                payloads = (self.nodes[source].payload for source in self.sources[index])
                found = tuple(payload.decision for payload in payloads if isinstance(payload, Weigh))
        return found + self._shaped_by(index) if self.undecided[index] else found

    # ------------------------------------------------------------ parameters and shapes

    def _step(self, index: int, sources: tuple[int, ...], chosen: Selection, widths: Widths) -> SelectedStep:
        known = self._steps.get(index)
        if known is not None and known.sources == sources:
            return known
        node = self.nodes[index]
        inputs = tuple(self._dims(source, chosen, widths) for source in sources)
        payload = node.payload
        assert isinstance(payload, Input | Prim | Mix | Weigh), "the graph is flat"
        shape = self._dims(index, chosen, widths)
        undecided = self.undecided[index]
        if isinstance(payload, Prim) and undecided:
            payload = Prim(payload.op.map(lambda value: _settled(value, chosen, widths)))
        step = SelectedStep(index, node.name, payload, sources, inputs, shape, undecided)
        if not undecided:
            self._steps[index] = step
        return step

    def _dims(self, index: int, chosen: Selection, widths: Widths) -> Dims:
        shape: Shape = self.nodes[index].shape
        if not self.undecided[index]:
            return shape.dims  # type: ignore[return-value]
        return tuple(_settled(dim, chosen, widths) for dim in shape.dims)

    def _widths(self, taken: Mapping[int, tuple[int, ...]], chosen: Selection) -> Widths:
        """The open widths of an architecture; what stands for a choice is as wide as what was chosen, like a sum."""
        graph = SpaceGraph()
        place: dict[int, int] = {}
        for index in sorted(taken):
            node = self.nodes[index]
            payload = node.payload if isinstance(node.payload, Input | Prim) else Prim(Add())
            shape = Shape(tuple(_settled(dim, chosen) for dim in node.shape.dims))
            sources = tuple(place[source] for source in taken[index])
            place[index] = graph.add(replace(node, payload=payload, shape=shape), sources)
        graph.output = place[self.output]
        try:
            return solve(Block("network", "network", None, graph))
        except ElaborationError as error:
            raise NothingSelectedError(error.diagnostic.message) from None


class _Taken(Existence):
    """The rule of existence among the nodes that decisions take."""

    def candidate(self, payload: Weigh, source: bool) -> bool:
        """The pick takes the candidate, so it exists if its source does."""
        return source

    def mixture(self, payload: Mix, sources: Sequence[bool]) -> bool:
        """The sources of a mixture here are the selected items."""
        return all(sources)


_TAKEN = _Taken()


def _settled(value: Any, chosen: Selection, widths: Widths | None = None) -> Any:
    """A value under decisions, and with open widths where they are known."""
    if isinstance(value, Var):
        value = settle(value, value.decisions, tuple(chosen[name][0] for name in value.decisions))
    return value if widths is None or not isinstance(value, Open) else widths.get(value, value)


def _parameters(node: Node) -> tuple[Attribute, ...]:
    """The values of the parameters of a primitive."""
    return tuple(value for _, value in node.payload.op.attributes) if isinstance(node.payload, Prim) else ()
