"""Cells of NAS-Bench-101: an adjacency matrix and the operations of its vertices.

`ModelSpec(matrix = [[0, 1], [0, 0]], ops = ['input', 'output'])`, the same as a dictionary, and the dictionary of
fixed statistics that the benchmark returns (`module_adjacency`, `module_operations`). As the benchmark does, vertices
that lie on no path from the input to the output are left out.
"""

from __future__ import annotations

import re

from hdas_dsl.genotype.literals import Call, Entry, Flag, Literal, Name, Text, Whole
from hdas_dsl.genotype.model import Matrix, Vertex
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .base import Form, entries_of, items

_MATRIX = ("matrix", "module_adjacency", "adjacency", "adjacency_matrix")
_OPS = ("ops", "module_operations", "operations")

_LABELS = {"CONV3X3": "conv3x3-bn-relu", "CONV1X1": "conv1x1-bn-relu", "MAXPOOL3X3": "maxpool3x3"}
"""The constants of the benchmark's examples."""

MOST_VERTICES = 100
"""Vertices of a cell; those of the benchmark have at most seven."""


def _pair(value: Literal) -> tuple[Literal | None, Literal | None]:
    """The matrix and the operations of what may be a cell."""

    def find(names: tuple[str, ...], position: int) -> Literal | None:
        entry: Entry | None = next((entry for entry in entries_of(value) if entry.name in names), None)
        if entry is None and isinstance(value, Call) and value.word == "ModelSpec" and position < len(value.args):
            return value.args[position]
        return None if entry is None else entry.value

    return find(_MATRIX, 0), find(_OPS, 1)


def _looks(value: Literal) -> bool:
    return (isinstance(value, Call) and value.word == "ModelSpec") or None not in _pair(value)


def _read(value: Literal, report: Report) -> Matrix | None:
    matrix, ops = _pair(value)
    if matrix is None or ops is None:
        what = "matrix" if matrix is None else "list of operations"
        raise InvalidPartError(Code.MISSING, value.span, f"this cell has no {what}")
    labels = [_label(op) for op in items(ops, "the operations of a cell are a list")]
    if not 2 <= len(labels) <= MOST_VERTICES:
        message = f"a cell has from 2 to {MOST_VERTICES} vertices, the input and the output among them"
        raise InvalidPartError(Code.FEW, ops.span, message)
    for position, word in ((0, "input"), (-1, "output")):
        if labels[position][0] != word:
            at = "first" if position == 0 else "last"
            raise InvalidPartError(Code.KIND, labels[position][1], f"the {at} operation is '{word}'")
    readers = _sources(matrix, len(labels))
    return _reached(labels, readers, value.span, report)


def _label(op: Literal) -> tuple[str, Span]:
    if isinstance(op, Name):
        return _LABELS.get(op.word, op.word.lower()), op.span
    if isinstance(op, Text):
        return op.value, op.inner
    raise InvalidPartError(Code.KIND, op.span, "an operation is its name between quotes")


def _sources(matrix: Literal, count: int) -> list[list[int]]:
    """The vertices that each vertex reads: the matrix by columns."""
    rows = items(matrix, "a matrix is a list of rows")
    if len(rows) != count:
        message = f"the matrix has {len(rows)} rows, and there are {count} operations"
        raise InvalidPartError(Code.RANGE, matrix.span, message)
    sources: list[list[int]] = [[] for _ in range(count)]
    for i, row in enumerate(rows):
        cells = items(row, "a row of a matrix is a list of 0 and 1")
        if len(cells) != count:
            raise InvalidPartError(
                Code.RANGE, row.span, f"row {i} has {len(cells)} numbers, and there are {count} operations"
            )
        for j, cell in enumerate(cells):
            if not isinstance(cell, Whole | Flag) or cell.value not in (0, 1):
                raise InvalidPartError(Code.KIND, cell.span, "a matrix holds 0 and 1")
            if cell.value and j <= i:
                message = f"vertex {i} feeds later ones only, and not {j}"
                raise InvalidPartError(Code.RANGE, cell.span, message, "the matrix is upper triangular")
            if cell.value:
                sources[j].append(i)
    return sources


def _reached(labels: list[tuple[str, Span]], sources: list[list[int]], span: Span, report: Report) -> Matrix:
    """The cell without the vertices that are on no path from the input to the output."""
    last = len(labels) - 1
    fed = {0}
    for j in range(1, last + 1):
        if fed & set(sources[j]):
            fed.add(j)
    needed = {last}
    for j in range(last, 0, -1):
        if j in needed:
            needed.update(sources[j])
    kept = sorted(fed & needed)
    if last not in kept:
        raise InvalidPartError(Code.RANGE, span, "no path leads from the input to the output")
    for j in range(1, last):
        if j not in kept:
            message = f"vertex {j} is on no path from the input to the output: it is left out"
            report.warn(labels[j][1], message)
    number = {j: position for position, j in enumerate(kept)}
    read = [tuple(number[i] for i in sources[j] if i in number) for j in kept]
    vertices = (Vertex(labels[j][0], read[number[j]], labels[j][1]) for j in kept[1:-1])
    return Matrix(tuple(vertices), read[-1], span)


FORM = Form(
    "matrix of NAS-Bench-101",
    _looks,
    _read,
    re.compile(rf"\bModelSpec\(|\{{\s*['\"](?:{'|'.join((*_MATRIX, *_OPS))})['\"]"),
)
