"""Nodes and outputs of cells and stages, in all the ways in which programs list them.

- Two edges (operation, source) for each node, one after the other; or all edges of each node, one after the other, as
  SNAS lists them.
- A list of edges for each node.
- Triples (operation, from, to) or, in FairDARTS and its relatives, (operation, to, from): the larger number is the
  node. There a node may have no edge; it does not exist then.
- An edge may be followed by its weight, a number with a decimal point, which is dropped.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from hdas_dsl.genotype.literals import Call, Items, Literal, Real, Whole
from hdas_dsl.genotype.model import Dag, Edge
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .base import items, number, operation

MOST_NODES = 1000
"""Nodes of a cell; a published one has at most seven."""

_EDGE = "an edge is (operation, source)"


class Order(Enum):
    """Where the numbers of a triple stand."""

    FROM_TO = "(operation, from, to)"
    TO_FROM = "(operation, to, from)"


@dataclass(frozen=True)
class _Triple:
    edge: Edge
    node: int
    span: Span
    source: Span
    target: Span


def order_of(values: Iterable[Literal]) -> Order:
    """The order of the triples in the parts of a genotype: a node reads what has a smaller number.

    Raises:
        InvalidPartError: two triples disagree.
    """
    seen: tuple[Order, Span] | None = None
    for value in values:
        for item in value.items if isinstance(value, Items) else ():
            match item:
                case Items(items=(_, Whole(value=first), Whole(value=second))) if first != second:
                    order = Order.FROM_TO if first < second else Order.TO_FROM
                    if seen is not None and seen[0] is not order:
                        message = f"this triple is {order.value}, and one before it {seen[0].value}"
                        raise InvalidPartError(Code.KIND, item.span, message, other=(seen[1], "the other order"))
                    seen = seen or (order, item.span)
    return Order.FROM_TO if seen is None else seen[0]


class EdgeReader:
    """Reads the parts of one genotype; ``order`` is that of its triples."""

    def __init__(self, report: Report, order: Order) -> None:
        self.report = report
        self.order = order
        self.weighted = False

    def dag(self, value: Literal, output: Literal | None, first: int) -> Dag | None:
        """The nodes and the output of one cell or stage; what is wrong with either is reported.

        Args:
            value: the edges.
            output: the sources that the output joins; None where the text has none, which is reported elsewhere.
            first: the first source that the output may join.
        """
        try:
            triples = self.triples(value)
            nodes = self.nodes(value, output) if triples is None else self.by_target(triples, value.span)
            if output is None:
                return None
            gaps = triples is not None
            concat = self.concat(output, nodes, first, gaps)
            if gaps and self.order is Order.TO_FROM:
                concat = self.all_joined(nodes, concat, output.span)
            return Dag(tuple(map(tuple, nodes)), concat)
        except InvalidPartError as error:
            self.report.caught(error)
            return None

    # ------------------------------------------------------------ nodes

    def nodes(self, value: Literal, output: Literal | None) -> list[list[Edge]]:
        """The edges of each node, from a flat list or a list for each."""
        parts = items(value, "the nodes of a cell are a list of (operation, source)")
        if not parts:
            raise InvalidPartError(Code.FEW, value.span, "a cell has at least one node")
        flat = [_is_edge(item) for item in parts]
        if any(flat) and not all(flat):
            odd = parts[flat.index(not flat[0])]
            raise InvalidPartError(Code.KIND, odd.span, "a list of edges, or a list for each node: not both")
        if not flat[0]:
            return [self.node(item, j) for j, item in enumerate(parts)]
        whole = _every_edge(parts, output)
        if whole is not None:
            return [[self.edge(item, j) for item in group] for j, group in enumerate(whole)]
        if len(parts) % 2:
            raise InvalidPartError(Code.FEW, parts[-1].span, "a node has two edges: this one has no partner")
        return [[self.edge(parts[i], i // 2), self.edge(parts[i + 1], i // 2)] for i in range(0, len(parts), 2)]

    def node(self, value: Literal, j: int) -> list[Edge]:
        """The edges of node j from its list."""
        parts = items(value, "a node is a list of (operation, source)")
        if not parts:
            raise InvalidPartError(Code.FEW, value.span, f"node {j} has no edge")
        return [self.edge(item, j) for item in parts]

    def edge(self, value: Literal, j: int) -> Edge:
        """An edge of node j."""
        parts = items(value, _EDGE)
        weighted = len(parts) == 3 and isinstance(parts[2], Real)
        if len(parts) != 2 and not weighted:
            raise InvalidPartError(Code.KIND, value.span, _EDGE)
        if weighted and not self.weighted:
            self.weighted = True
            self.report.warn(parts[2].span, "the weights of edges are dropped: a genotype has none")
        return self.joined(parts[0], parts[1], j)

    def joined(self, op: Literal, source: Literal, j: int) -> Edge:
        """The edge of an operation and a source, which node j can read."""
        name, span = operation(op)
        found = number(source, "a source")
        if found >= j + 2:
            message = f"node {j} reads from 0 to {j + 1}, not {found}"
            raise InvalidPartError(Code.RANGE, source.span, message, "0 and 1 are the inputs, 2 is node 0")
        return Edge(found, name, span)

    # ------------------------------------------------------------ triples

    def triples(self, value: Literal) -> list[_Triple] | None:
        """The triples of a flat list, if that is what it is."""
        if not isinstance(value, Items):
            return None
        numbered = (isinstance(_parts(item)[2], Whole) for item in value.items if len(_parts(item)) == 3)
        return [self.triple(item) for item in value.items] if any(numbered) else None

    def triple(self, value: Literal) -> _Triple:
        """One triple, in the order of the text."""
        parts = items(value, _EDGE)
        if len(parts) != 3:
            raise InvalidPartError(Code.KIND, value.span, f"an edge is {self.order.value}, like those before it")
        source, target = parts[1:] if self.order is Order.FROM_TO else reversed(parts[1:])
        j = number(target, "a target")
        if j < 2:
            raise InvalidPartError(Code.RANGE, target.span, f"{j} is not a node here: the first is 2")
        if j >= MOST_NODES:
            raise InvalidPartError(
                Code.RANGE, target.span, f"a cell has less than {MOST_NODES:,} nodes: this is too far"
            )
        return _Triple(self.joined(parts[0], source, j - 2), j - 2, value.span, source.span, target.span)

    def by_target(self, triples: Sequence[_Triple], whole: Span) -> list[list[Edge]]:
        """The edges of each node up to the last; a node without one does not exist, nor do the edges from it."""
        listed = {triple.node for triple in triples}
        if self.order is Order.TO_FROM:
            _check_sequence(triples)
        found: list[list[Edge]] = [[] for _ in range(max(listed) + 1)]
        for triple in triples:
            source = triple.edge.source - 2
            if source < 0 or source in listed:
                found[triple.node].append(triple.edge)
                continue
            message = f"this edge comes from {source + 2}, which has no edge and does not exist: it is left out"
            self.report.warn(triple.source, message)
        for j in sorted(listed):
            if not found[j]:
                span = next(triple.span for triple in triples if triple.node == j)
                raise InvalidPartError(Code.FEW, span, f"node {j} has no edge but from nodes that do not exist")
        gone = [str(j + 2) for j in range(len(found)) if not found[j]]
        if gone:
            verb = "is" if len(gone) == 1 else "are"
            self.report.warn(whole, f"{' and '.join(gone)} {verb} left out: no edge leads there")
        return found

    def all_joined(self, nodes: Sequence[Sequence[Edge]], concat: tuple[int, ...], span: Span) -> tuple[int, ...]:
        """The output of FairDARTS, whose program joins all nodes that have an edge, in their order."""
        existing = tuple(j + 2 for j, node in enumerate(nodes) if node)
        missing = [str(source) for source in existing if source not in concat]
        if missing or tuple(sorted(concat)) != existing:
            what = f"leaves out {missing[0]}" if missing else "lists more than the nodes"
            message = f"FairDARTS joins every node that has an edge, each once: this list {what}"
            raise InvalidPartError(Code.RANGE, span, message, f"the list {list(existing)} says what it builds")
        return existing

    # ------------------------------------------------------------ outputs

    def concat(self, value: Literal, nodes: Sequence[Sequence[Edge]], first: int, gaps: bool) -> tuple[int, ...]:
        """The sources that the output joins; with ``gaps``, nodes that do not exist are passed over."""
        known = range(first, len(nodes) + 2)
        found = []
        for source, span in _sources(value, len(nodes), gaps):
            if gaps and first <= source and (source not in known or (source > 1 and not nodes[source - 2])):
                continue
            if source not in known:
                hint = "a reduction cell halves the resolution of its inputs" if source < first else None
                message = f"the output joins sources from {first} to {len(nodes) + 1}, not {source}"
                raise InvalidPartError(Code.RANGE, span, message, hint)
            found.append(source)
        if not found:
            raise InvalidPartError(Code.FEW, value.span, "the output joins at least one node")
        return tuple(found)


def _check_sequence(triples: Sequence[_Triple]) -> None:
    """FairDARTS makes the nodes in the order of their first edges, and passes over edges from later ones."""
    last = 0
    started: set[int] = set()
    for triple in triples:
        if triple.node not in started and triple.node < last:
            message = f"the edges of node {triple.node} come before those of node {last} in FairDARTS's program"
            raise InvalidPartError(Code.KIND, triple.target, message, "list the edges in the order of their nodes")
        started.add(triple.node)
        last = max(last, triple.node)


def _parts(value: Literal) -> tuple[Literal, ...]:
    return value.items if isinstance(value, Items) else ()


def _is_edge(value: Literal) -> bool:
    """Whether an item is an edge, rather than a list of edges."""
    parts = items(value, _EDGE)
    return bool(parts) and not isinstance(parts[0], Items)


def _every_edge(parts: Sequence[Literal], output: Literal | None) -> list[Sequence[Literal]] | None:
    """The edges of each node, where every node reads everything before it once, as SNAS lists them.

    Then node j has j + 2 edges, and the output joins no more nodes than that gives.
    """
    groups: list[Sequence[Literal]] = []
    start = 0
    while start < len(parts):
        size = len(groups) + 2
        group = parts[start : start + size]
        sources = [edge[1].value for edge in map(_parts, group) if len(edge) > 1 and isinstance(edge[1], Whole)]
        if sorted(sources) != list(range(size)):
            return None
        groups.append(group)
        start += size
    joined = [value.value for value in _parts(output) if isinstance(value, Whole)] if output is not None else []
    match output:
        case Call(word="range", args=(_, Whole(value=stop), *_)):
            joined = [stop - 1]
    return groups if all(source < len(groups) + 2 for source in joined) else None


def _sources(value: Literal, nodes: int, gaps: bool) -> Iterator[tuple[int, Span]]:
    if isinstance(value, Call) and value.word in ("range", "arange") and 1 <= len(value.args) <= 3:
        numbers = [number(arg, "an end of a range") for arg in value.args]
        for found, arg in zip(numbers, value.args, strict=True):
            if found > (MOST_NODES if gaps else nodes + 2):
                raise InvalidPartError(Code.RANGE, arg.span, f"the last source is {nodes + 1}, so {found} is too far")
        if len(numbers) == 3 and not numbers[2]:
            raise InvalidPartError(Code.RANGE, value.args[2].span, "a range has no step of 0")
        yield from ((source, value.span) for source in range(*numbers))
    else:
        parts = items(value, "what the output joins is a list of sources or a range: `range(2, 6)`")
        yield from ((number(item, "a source"), item.span) for item in parts)
