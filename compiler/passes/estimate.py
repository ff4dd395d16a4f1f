"""What a graph costs, estimated for one image in float32: bytes that wait for the backward pass, and operations.

These are the figures by which passes decide and that `--emit passes` prints. Operations are multiply-adds of forward
and backward together; a pass over a tensor counts one for each number.
"""

from __future__ import annotations

import math

from ..graph import Mix, Node, Part, Prim, SpaceGraph, Sum, Sums, Term, Weigh
from ..primitives import PRIMITIVES, decided

BYTES = 4
"""Of a number."""

READS_OUTPUT = {"relu", "relu6", "sigmoid", "hard_sigmoid"}
"""Primitives whose gradient reads what they gave."""

HOLDS_NOTHING = {"add", "concat", "zero", "identity", "crop", "cut", "flatten", "global_pool", "first_token"}
"""Primitives whose gradient needs none of their tensors."""


def saved_bytes(graph: SpaceGraph) -> int:
    """Bytes that the activations of one image take between forward and backward; each tensor counts once."""
    held: set[int] = set()
    extra = 0
    for index, node in graph.order():
        payload, sources = node.payload, graph.sources(index)
        match payload:
            case Prim(name=name):
                if name == "max_pool":
                    extra += 2 * size(node)  # its indices have 64 bits
                if name in READS_OUTPUT:
                    held.add(index)
                elif name not in HOLDS_NOTHING and not (name == "drop_path"):
                    held.update(sources)
            case Mix() | Weigh():
                held.update(sources)
            case Sum() | Sums():
                sums = payload.sums if isinstance(payload, Sums) else (payload,)
                terms = [term for total in sums for term in total.terms]
                held.update(s for s, term in zip(sources, terms, strict=True) if not term.is_plain or term.weight)
                extra += filtered_bytes(node)
    return extra + sum(size(graph.node(index)) for index in held)


def filtered_bytes(node: Node) -> int:
    """Bytes of what the filters of a sum give, where it is kept."""
    return sum(BYTES * math.prod(part.shape.largest) for part in _filters(node, kept_only=True))


def filter_work(node: Node) -> int:
    """Multiply-adds of the filters of a sum, once."""
    return sum(math.prod(part.shape.largest) * decided(part.prim.values)["k"] ** 2 for part in _filters(node))


def _filters(node: Node, kept_only: bool = False) -> list[Part]:
    payload = node.payload
    sums = payload.sums if isinstance(payload, Sums) else (payload,) if isinstance(payload, Sum) else ()
    return [
        term.filter for total in sums if total.keep or not kept_only for term in total.terms if term.filter is not None
    ]


def work(graph: SpaceGraph) -> int:
    """Multiply-adds of forward and backward for one image."""
    total = 0
    for index, node in graph.order():
        payload = node.payload
        match payload:
            case Prim():
                total += _primitive(payload, tuple(graph.node(s).shape.largest for s in graph.sources(index)), node)
            case Mix() | Weigh():
                total += 3 * len(graph.sources(index)) * size(node) // BYTES
            case Sum() | Sums():
                sums = payload.sums if isinstance(payload, Sums) else (payload,)
                total += sum(_term(term, item.keep, node) for item in sums for term in item.terms)
    return total


def _primitive(prim: Prim, inputs: tuple[tuple[int, ...], ...], node: Node) -> int:
    spec = PRIMITIVES.get(prim.name)
    macs = 0 if spec is None else spec.macs(decided(prim.values), list(inputs), node.shape.largest)
    return 3 * macs if macs else 4 * size(node) // BYTES


def _term(term: Term, keep: bool, node: Node) -> int:
    numbers = size(node) // BYTES
    if term.is_plain:
        return 3 * numbers
    total = 0
    if term.filter is not None:
        window = decided(term.filter.prim.values)["k"] ** 2
        total += math.prod(term.filter.shape.largest) * window * (3 if keep else 4)
    if term.projection is not None:
        ci, co = term.projection.inputs[0].largest[0], term.projection.shape.largest[0]
        pixels = numbers // co
        total += pixels * ci * (3 * co + (2 * ci if term.norm is not None else 0))
    elif term.norm is not None:
        total += 4 * numbers
    return total + (4 * math.prod(term.before.shape.largest) if term.before is not None else 0)


def size(node: Node) -> int:
    """Bytes of a node's tensor."""
    return BYTES * math.prod(node.shape.largest)
