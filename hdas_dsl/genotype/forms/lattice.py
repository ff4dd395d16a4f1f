"""Cells of NAS-Bench-201: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``, and the tuples that AutoDL makes of it.

In `Structure([(('nor_conv_3x3', 0),), (('skip_connect', 0), ('nor_conv_1x1', 1))])` a node lists the edges that it
has; one that is not there is `none`. The bare list of tuples is the same.
"""

from __future__ import annotations

import re

from hdas_dsl.genotype.literals import Call, Items, Literal, Text, lines, stripped
from hdas_dsl.genotype.model import Dag, Edge, Lattice
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .base import Form, bare_text, items, number, operation

_EDGE = re.compile(r"\s*(?P<op>[^~|+\s]+)~(?P<source>[0-9]{1,9})\s*")
_CLASSES = ("Structure", "CellStructure", "TopologyStructure")

_ABSENT = "none"
"""The operation of an edge that a tuple does not list."""

# ---------------------------------------------------------------- the string


def _is_string(value: Literal) -> bool:
    return isinstance(value, Text) and value.value.strip().startswith("|") and value.inner.text == value.value


def _read_string(value: Literal, report: Report) -> Lattice | None:
    """The cell of a string; what is wrong with it is reported."""
    assert isinstance(value, Text)
    span = stripped(value.inner)
    nodes: list[tuple[Edge, ...]] = []
    start = span.start
    for text in span.text.split("+"):
        whole = Span(span.source, start, start + len(text))
        nodes.append(_node(stripped(whole), len(nodes), report))
        start += len(text) + 1
    return None if report.failed else Lattice(Dag(tuple(nodes), (len(nodes),)))


def _node(span: Span, j: int, report: Report) -> tuple[Edge, ...]:
    text = span.text
    if len(text) < 2 or text[0] != "|" or text[-1] != "|":
        where = span if text else Span(span.source, max(span.start - 1, 0), span.start)
        report.wrong(Code.SYNTAX, where, f"node {j} is written between bars: `|op~0|op~1|`")
        return ()
    edges: dict[int, Edge] = {}
    start = span.start + 1
    for part in text[1:-1].split("|"):
        here = Span(span.source, start, start + max(len(part), 1))
        start += len(part) + 1
        match = _EDGE.fullmatch(part)
        if match is None:
            report.wrong(Code.SYNTAX, here, "an edge is `operation~source`")
            return ()
        place = Span(span.source, here.start + match.start("source"), here.start + match.end("source"))
        source = int(match["source"])
        if source > j:
            message = f"node {j} reads from 0 to {j}, not {source}"
            report.wrong(Code.RANGE, place, message, "0 is the input, 1 is node 0")
            return ()
        if source in edges:
            report.wrong(Code.DUPLICATE, place, f"node {j} reads {source} twice")
            return ()
        op = Span(span.source, here.start + match.start("op"), here.start + match.end("op"))
        edges[source] = Edge(source, match["op"], op)
    missing = [str(source) for source in range(j + 1) if source not in edges]
    if missing:
        message = f"node {j} has an edge from everything before it, and none from {', '.join(missing)}"
        report.wrong(Code.FEW, span, message, "an edge that is not there is `none~0`")
    return tuple(edges.values())


# ---------------------------------------------------------------- tuples


def _is_structure(value: Literal) -> bool:
    if isinstance(value, Call):
        return value.word in _CLASSES
    nodes = value.items if isinstance(value, Items) else ()
    return bool(nodes) and all(isinstance(node, Items) and all(map(_is_edge, node.items)) for node in nodes)


def _is_edge(value: Literal) -> bool:
    return isinstance(value, Items) and len(value.items) == 2 and isinstance(value.items[0], Text)


def _read_structure(value: Literal, report: Report) -> Lattice | None:
    if isinstance(value, Call):
        if len(value.args) != 1 or value.entries:
            raise InvalidPartError(Code.ARGUMENT, value.called, f"a {value.word} is made of one list of nodes")
        value = value.args[0]
    nodes = items(value, "the nodes of a cell are a list, each a tuple of (operation, source)")
    if not nodes:
        raise InvalidPartError(Code.FEW, value.span, "a cell has at least one node")
    made: list[tuple[Edge, ...]] = []
    for j, node in enumerate(nodes):
        try:
            made.append(_listed(node, j))
        except InvalidPartError as error:
            report.caught(error)
    return None if report.failed else Lattice(Dag(tuple(made), (len(made),)))


def _listed(node: Literal, j: int) -> tuple[Edge, ...]:
    """The edges that a node lists, and `none` from everything else before it."""
    edges: list[Edge] = []
    for item in items(node, "a node is a tuple of (operation, source)"):
        parts = items(item, "an edge is (operation, source)")
        if len(parts) != 2:
            raise InvalidPartError(Code.KIND, item.span, "an edge is (operation, source)")
        name, span = operation(parts[0])
        source = number(parts[1], "a source")
        if source > j:
            message = f"node {j} reads from 0 to {j}, not {source}"
            raise InvalidPartError(Code.RANGE, parts[1].span, message, "0 is the input, 1 is node 0")
        edges.append(Edge(source, name, span))
    if not edges:
        raise InvalidPartError(Code.FEW, node.span, f"node {j} has no edge")
    read = {edge.source for edge in edges}
    return (*edges, *(Edge(source, _ABSENT, node.span) for source in range(j + 1) if source not in read))


_NODE = r"\|(?:[^|~+\s]+~[0-9]+\|)+"
_WHOLE = re.compile(rf"{_NODE}(?:\+{_NODE})*")


def _bare_string(span: Span) -> Literal | None:
    """A text that is one string; several, a line for each, are found as in a log."""
    if not span.text.startswith("|") or (len(found := list(lines(span))) > 1 and _complete(found)):
        return None
    return bare_text(span)


def _complete(found: list[Span]) -> bool:
    return all(_WHOLE.fullmatch(line.text.strip()) for line in found if line.text.strip())


STRING = Form("string of NAS-Bench-201", _is_string, _read_string, _WHOLE, _bare_string)
STRUCTURE = Form(
    "tuples of NAS-Bench-201", _is_structure, _read_structure, re.compile(rf"\b(?:{'|'.join(_CLASSES)})\(\s*[\[(]")
)
