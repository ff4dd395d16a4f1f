"""The strings of NAS-Bench-201: ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``."""

from __future__ import annotations

import re

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span

from .model import Dag, Edge, Lattice

_EDGE = re.compile(r"\s*(?P<op>[^~|+\s]+)~(?P<source>[0-9]{1,9})\s*")


def read_lattice(span: Span, diagnostics: list[Diagnostic]) -> Lattice:
    """The cell in a span of text; its errors are added to the diagnostics."""
    nodes: list[tuple[Edge, ...]] = []
    start = span.start
    for text in span.text.split("+"):
        whole = Span(span.source, start, start + len(text))
        nodes.append(_node(_stripped(whole), len(nodes), diagnostics))
        start += len(text) + 1
    return Lattice(Dag(tuple(nodes), (len(nodes),)))


def _node(span: Span, j: int, diagnostics: list[Diagnostic]) -> tuple[Edge, ...]:
    text = span.text
    if len(text) < 2 or text[0] != "|" or text[-1] != "|":
        where = span if text else Span(span.source, max(span.start - 1, 0), span.start)
        message = f"node {j} is written between bars: `|op~0|op~1|`"
        diagnostics.append(Diagnostic(Code.SYNTAX, where, message))
        return ()
    edges: dict[int, Edge] = {}
    start = span.start + 1
    for part in text[1:-1].split("|"):
        here = Span(span.source, start, start + max(len(part), 1))
        start += len(part) + 1
        match = _EDGE.fullmatch(part)
        if match is None:
            diagnostics.append(Diagnostic(Code.SYNTAX, here, "an edge is `operation~source`"))
            return ()
        number = Span(span.source, here.start + match.start("source"), here.start + match.end("source"))
        source = int(match["source"])
        if source > j:
            message = f"node {j} reads from 0 to {j}, not {source}"
            diagnostics.append(Diagnostic(Code.RANGE, number, message, "0 is the input, 1 is node 0"))
            return ()
        if source in edges:
            diagnostics.append(Diagnostic(Code.DUPLICATE, number, f"node {j} reads {source} twice"))
            return ()
        op = Span(span.source, here.start + match.start("op"), here.start + match.end("op"))
        edges[source] = Edge(source, match["op"], op)
    missing = [str(source) for source in range(j + 1) if source not in edges]
    if missing:
        message = f"node {j} has an edge from everything before it, and none from {', '.join(missing)}"
        diagnostics.append(Diagnostic(Code.FEW, span, message, "an edge that is not there is `none~0`"))
    return tuple(edges.values())


def _stripped(span: Span) -> Span:
    text = span.text
    start = span.start + len(text) - len(text.lstrip())
    return Span(span.source, start, start + len(text.strip()))
