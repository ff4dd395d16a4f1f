"""Configurations of NAS-Bench-301: an operation for each edge, by its number, and the two inputs of each node.

`...:edge_normal_0: max_pool_3x3` is an edge of the normal cell; edges are numbered by their node, then by their source.
`...:inputs_node_normal_3: 0_1` says what node 3 reads, counted as in DARTS; node 2 always reads both inputs. The output
joins all nodes. The other settings of a configuration concern the network and its training.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Table

from hdas_dsl.genotype.literals import Entry, Items, Literal, Mapping, Text, Whole, lines
from hdas_dsl.genotype.model import Cells, Dag, Edge
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .base import Form, entries_of, operation

_KEY = re.compile(r"(?:[\w.]+:)*(?P<what>edge|inputs_node)_(?P<kind>normal|reduce)_(?P<number>[0-9]{1,4})")
_SIZE = re.compile(r"(?:[\w.]+:)*(?P<what>init_channels|layers)")
_OPTIONS = {"init_channels": "--channels", "layers": "--cells"}


def _looks(value: Literal) -> bool:
    matches = (_KEY.fullmatch(entry.name or "") for entry in entries_of(value))
    return isinstance(value, Mapping) and any(match is not None and match["what"] == "edge" for match in matches)


def _read(value: Literal, report: Report) -> Cells | None:
    edges: dict[str, dict[int, Entry]] = {"normal": {}, "reduce": {}}
    inputs: dict[str, dict[int, Entry]] = {"normal": {}, "reduce": {}}
    for entry in entries_of(value):
        if match := _KEY.fullmatch(entry.name or ""):
            table = (edges if match["what"] == "edge" else inputs)[match["kind"]]
            if int(match["number"]) in table:
                report.wrong(Code.DUPLICATE, entry.span, f"'{match[0]}' is given twice")
            table[int(match["number"])] = entry
        elif match := _SIZE.fullmatch(entry.name or ""):
            message = f"'{match['what']}' is not part of a genotype: {_OPTIONS[match['what']]} sets it"
            report.warn(entry.span, message)
    start = Span(value.span.source, value.span.start, value.span.start + 1)
    dags = []
    for kind in edges:
        try:
            dags.append(_dag(kind, edges[kind], inputs[kind], start))
        except InvalidPartError as error:
            report.caught(error)
    return None if report.failed else Cells((dags[0],), (dags[1],))


def _dag(kind: str, edges: Table[int, Entry], inputs: Table[int, Entry], whole: Span) -> Dag:
    count = max(inputs, default=2) - 1
    nodes: list[tuple[Edge, ...]] = []
    used: set[int] = set()
    first = 0
    for j in range(count):
        if j and j + 2 not in inputs:
            raise InvalidPartError(Code.MISSING, whole, f"there is no 'inputs_node_{kind}_{j + 2}'")
        made = []
        for source in _inputs(inputs[j + 2], j) if j + 2 in inputs else (0, 1):
            entry = edges.get(first + source)
            if entry is None:
                where = inputs[j + 2].span if j + 2 in inputs else whole
                message = f"node {j + 2} reads {source}, and there is no 'edge_{kind}_{first + source}'"
                raise InvalidPartError(Code.MISSING, where, message)
            used.add(first + source)
            made.append(Edge(source, *operation(entry.value)))
        nodes.append(tuple(made))
        first += j + 2
    for position, entry in edges.items():
        if position not in used:
            raise InvalidPartError(Code.RANGE, entry.span, f"no node reads the edge {position} of this cell")
    return Dag(tuple(nodes), tuple(range(2, count + 2)))


def _inputs(entry: Entry, j: int) -> list[int]:
    """The nodes that a node reads: ``0_1``."""
    value = entry.value
    found: list[int] = []
    if isinstance(value, Text) and re.fullmatch(r"[0-9]{1,3}(_[0-9]{1,3})*", value.value):
        found = [int(part) for part in value.value.split("_")]
    elif isinstance(value, Items) and all(isinstance(item, Whole) for item in value.items):
        found = [item.value for item in value.items if isinstance(item, Whole)]
    if not found or len(set(found)) != len(found):
        raise InvalidPartError(Code.KIND, value.span, "the inputs of a node are different numbers: `0_1`")
    if not 0 <= min(found) <= max(found) < j + 2:
        message = f"node {j + 2} reads from 0 to {j + 1}, not {value.span.text.strip(chr(39) + chr(34))}"
        raise InvalidPartError(Code.RANGE, value.span, message)
    return found


_VALUE = r"[^\s'\",:=]+|'[^']*'|\"[^\"]*\""
_LINE = re.compile(rf"\s*['\"]?(?P<key>[\w.:]+)['\"]?\s*(?:,\s*Value)?\s*[:=]\s*(?P<value>{_VALUE}),?\s*")


def _bare(span: Span) -> Literal | None:
    """A text of lines ``key: value``, as ConfigSpace prints a configuration."""
    entries = []
    for line in lines(span):
        match = _LINE.fullmatch(line.text)
        if match is None:
            continue
        key, value = (Span(span.source, line.start + match.start(at), line.start + match.end(at)) for at in (1, 2))
        inner = Span(span.source, value.start + 1, value.end - 1) if value.text[0] in "'\"" else value
        entries.append(Entry(key.text, Text(inner.text, value, inner), key))
    found = Mapping(tuple(entries), span)
    return found if _looks(found) else None


FORM = Form(
    "configuration of NAS-Bench-301",
    _looks,
    _read,
    re.compile(r"\{(?=[^{}]*\b(?:edge|inputs_node)_(?:normal|reduce)_[0-9])"),
    _bare,
)
