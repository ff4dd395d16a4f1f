"""The estimated cost of a graph: forward and backward of one image in float32.

By these figures passes are chosen, and `--emit passes` prints them. They are made to compare a graph with another that
computes the same, not to predict: tensors are counted as they are read and written, and caches are not looked into.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.base import Saved
from compiler.ir.primitives.roles import Window
from compiler.ir.sums import Item, Part, Sum, Sums, Term

from .target import Machine, Target

BYTES = 4
"""Bytes of a number."""
SHARE_OF_FORWARD = 1 / 3
"""How much of a step's time is the forward pass."""

Scope = tuple[str, ...]
"""The cells and stages that a node lies in (`Node.scope`)."""


@dataclass(frozen=True)
class Estimate:
    """``work``: multiply-adds. ``traffic``: bytes read and written. ``held``: bytes that wait for the backward pass.
    ``launches``: operations."""

    nodes: int
    work: int
    traffic: int
    held: int
    launches: int

    def seconds(self, target: Target) -> float:
        """The time of a step on a batch."""
        machine, batch = target.machine, target.batch
        busy = batch * (self.work / machine.work + self.traffic / machine.traffic)
        return busy + self.launches * machine.launch


def estimate(graph: SpaceGraph, machine: Machine, again: Collection[Scope] = ()) -> Estimate:
    """The estimate of a flat graph; the cells of the scopes ``again`` are computed again in the backward pass."""
    work = traffic = launches = 0
    is_last = any(isinstance(node.payload, Prim) and node.payload.op.channels_last for _, node in graph.order())
    for index, node in graph.order():
        costs = _costs(node, [graph.node(source) for source in graph.sources(index)], machine)
        slower = 1.0 if is_last or not isinstance(node.payload, Prim) else machine.channels_first
        times = 1 + SHARE_OF_FORWARD if node.scope in again else 1.0
        work += int(times * costs[0])
        traffic += int(times * slower * costs[1])
        launches += int(times * costs[2])
    return Estimate(len(graph), work, traffic, held_bytes(graph, again), launches)


Costs = tuple[int, int, int]
"""Multiply-adds, bytes, operations."""


def _costs(node: Node, sources: list[Node], machine: Machine) -> Costs:
    match node.payload:
        case Prim() as prim:
            return _primitive(prim, node, sources)
        case Mix(rows=rows):
            return 3 * len(rows) * numbers(node), 7 * len(rows) * size(node), 5 * len(rows)
        case Weigh():
            return numbers(node), 4 * size(node), 3
        case Sum() as total:
            return _sums((total,), node, machine)
        case Sums(sums=sums):
            return _sums(sums, node, machine)
    return 0, 0, 0


def _primitive(prim: Prim, node: Node, sources: list[Node]) -> Costs:
    op = prim.op
    if op.identity:
        return 0, 0, 0
    macs = op.macs([source.shape.largest for source in sources], node.shape.largest) if op.available else 0
    around = size(node) + sum(size(source) for source in sources)
    passes = 3 if macs else op.passes_over_memory
    return 3 * macs or 2 * numbers(node), passes * around, 3 * max(1, len(sources) - 1)


def _sums(sums: tuple[Sum, ...], node: Node, machine: Machine) -> Costs:
    terms = [(term, total.keep) for total in sums for term in total.terms]
    found = [_term(term, keep, node, machine) for term, keep in terms]
    # Plain terms of sums that are computed together share their sources and gradients.
    shared = (len(sums) - 1) * size(node) * sum(term.is_plain for term in sums[0].terms)
    work, traffic, launches = (sum(part) for part in zip(*found, strict=True))
    return work, traffic - 2 * shared, launches + 10


def _term(term: Term, keep: bool, node: Node, machine: Machine) -> Costs:
    count, bytes_ = numbers(node), size(node)
    if term.is_plain:
        return 3 * count, (4 if term.weight else 2) * bytes_, 1 if machine.kernel else 4
    work = passes = 0
    launches = 2 if machine.kernel else 15
    if term.filter is not None:
        work += filter_work_of(term.filter) * (3 if keep else 4)
        passes += 2 if machine.kernel else 10
    if term.projection is not None:
        ci, co = term.projection.inputs[0].largest[0], term.projection.shape.largest[0]
        if machine.kernel:
            work += count // co * ci * co * (4 if term.norm is not None or term.weight else 3)
        else:
            work += count // co * ci * (3 * co + (2 * ci if term.norm is not None else 0))
        passes += 7 if machine.kernel else 26
        launches += 0 if machine.kernel else 30
    elif term.norm is not None:
        passes += 9
        launches += 15
    if term.before is not None:
        passes += 3 if machine.kernel else 8
    return work, passes * bytes_, launches


# ---------------------------------------------------------------- memory


def held_bytes(graph: SpaceGraph, again: Collection[Scope] = ()) -> int:
    """Bytes that the activations of one image take between forward and backward; each tensor counts once.

    Of the cells of the scopes ``again`` what they read is held, and, one cell at a time, what they compute again.
    """
    held, extra = set[int](), 0
    apart: dict[Scope, tuple[set[int], int]] = {}
    for index, node in graph.order():
        tensors, more = _held_for(graph, index)
        if node.scope in again:
            of_cell, before = apart.get(node.scope, (set(), 0))
            apart[node.scope] = of_cell | tensors, before + more
            held.update(source for source in graph.sources(index) if graph.node(source).scope != node.scope)
        else:
            held |= tensors
            extra += more
    largest = max((more + _bytes(graph, tensors - held) for tensors, more in apart.values()), default=0)
    return extra + _bytes(graph, held) + largest


def _held_for(graph: SpaceGraph, index: int) -> tuple[set[int], int]:
    """The nodes whose tensors the gradient of a node needs, and how many bytes beside them."""
    node, sources = graph.node(index), graph.sources(index)
    match node.payload:
        case Prim(op=op):
            tensors = {index} if op.saves is Saved.OUTPUT else set(sources) if op.saves is Saved.INPUTS else set[int]()
            return tensors, op.saves_indices * numbers(node)
        case Mix() | Weigh():
            return set(sources), 0
        case Sum(terms=terms):
            return _read_by(sources, terms), filtered_bytes(node)
        case Sums(sums=sums):
            return _read_by(sources, [term for total in sums for term in total.terms]), filtered_bytes(node)
    return set(), 0


def _read_by(sources: Sequence[int], terms: Sequence[Term]) -> set[int]:
    """The sources that the gradients of terms need."""
    return {source for source, term in zip(sources, terms, strict=True) if not term.is_plain or term.weight}


def _bytes(graph: SpaceGraph, nodes: Iterable[int]) -> int:
    """The bytes of the tensors of nodes; the images are there anyway."""
    return sum(size(graph.node(index)) for index in nodes if not isinstance(graph.node(index).payload, Input))


def filtered_bytes(node: Node) -> int:
    """Bytes of what the filters of a sum give, where it is kept."""
    return sum(BYTES * math.prod(part.shape.largest) for part, keep in _filters(node) if keep)


def filter_work(node: Node) -> int:
    """Multiply-adds of the filters of a sum, once."""
    return sum(filter_work_of(part) for part, _ in _filters(node))


def filter_work_of(part: Part) -> int:
    """Multiply-adds of a filter, once."""
    return math.prod(part.shape.largest) * part.op.role.k**2 if isinstance(part.op.role, Window) else 0


def _filters(node: Node) -> list[tuple[Part, bool]]:
    """The filters of the sums of a node, each with whether its output is kept."""
    payload = node.payload
    sums = payload.sums if isinstance(payload, Sums) else (payload,) if isinstance(payload, Sum) else ()
    terms = [(term.filter, total.keep) for total in sums for term in total.terms]
    return [(part, keep) for part, keep in terms if part is not None and isinstance(part.op.role, Window)]


def numbers(node: Node) -> int:
    """How many numbers a node's tensor holds; joint sums count once."""
    return 0 if isinstance(node.payload, Item) else math.prod(node.shape.largest)


def size(node: Node) -> int:
    """Bytes of a node's tensor."""
    return BYTES * math.prod(node.shape.largest)
