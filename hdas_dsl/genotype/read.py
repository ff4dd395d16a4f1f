"""Genotype strings as data. Python's parser reads the text, nothing evaluates it; errors name their place.

Forms: `Genotype(normal, reduce)`, `Genotype2(DAG1, DAG2, ...)`, `Genotype3(normal1, reduce1, normal2, ...)`, each part
with its `_concat`; nodes as pairs (operation, source), two after the other for each node, or as one list per node, or
as triples (operation, from, to). And the string of NAS-Bench-201, ``|op~0|+|op~0|op~1|+...``.
"""

from __future__ import annotations

import ast as python
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.source import Source, Span

from .lattice import read_lattice
from .model import Cells, Dag, Edge, Genotype, Part, Stages

LONGEST = 1_000_000
"""Characters of a text; a published genotype has about a thousand."""

_CONSTRUCTORS = ("Genotype", "Genotype2", "Genotype3")
_FIELD = re.compile(r"(normal|reduce|DAG)([1-9][0-9]{0,8})?(_concat)?")


class InvalidPart(Exception):
    """A part of the text that is no genotype; errors of the other parts are still reported."""

    def __init__(self, code: Code, span: Span, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, span, message, hint)


def read_genotype(text: str, name: str) -> tuple[Genotype | None, list[Diagnostic]]:
    """The genotype in a text, or all errors in it.

    Args:
        text: The text of the genotype.
        name: The name that messages show for it, such as a path.

    Returns:
        The genotype, None where there are errors; and the errors in the order of the text.
    """
    source = Source(name, text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    reader = _Reader(source)
    try:
        genotype = reader.genotype()
    except InvalidPart as wrong:
        reader.diagnostics.append(wrong.diagnostic)
        genotype = None
    found = sorted(reader.diagnostics, key=lambda item: item.span.start)
    return (None if found else genotype), found


@dataclass(frozen=True)
class _Given:
    """A named part of a genotype: ``normal2_concat = ...``."""

    name: str
    value: python.expr
    span: Span


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.diagnostics: list[Diagnostic] = []
        self.skipped = len(source.text) - len(source.text.lstrip())
        self.lines = source.text[self.skipped :].split("\n")

    # ------------------------------------------------------------ places

    def offset(self, line: int, column: int) -> int:
        """Python counts lines from 1 and columns in bytes."""
        before = sum(len(text) + 1 for text in self.lines[: line - 1])
        inside = self.lines[line - 1].encode()[:column].decode(errors="ignore") if line <= len(self.lines) else ""
        return min(self.skipped + before + len(inside), len(self.source.text))

    def span(self, node: python.expr | python.stmt | python.keyword) -> Span:
        end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        return Span(self.source, self.offset(node.lineno, node.col_offset), self.offset(end_line, end_column))

    # ------------------------------------------------------------ the whole

    def genotype(self) -> Genotype:
        text = self.source.text.strip()
        whole = Span(self.source, self.skipped, self.skipped + len(text))
        if not text:
            raise InvalidPart(Code.MISSING, whole, "there is no genotype in an empty text")
        if len(text) > LONGEST:
            raise InvalidPart(Code.LARGE, Span(self.source, 0, 0), f"a genotype of more than {LONGEST:,} characters")
        if text.startswith("|"):
            return Genotype((read_lattice(whole, self.diagnostics),))
        parts: list[Part] = []
        title = None
        for statement in self.tree().body:
            name, value = self.statement(statement)
            part = self.part(value)
            if part is None:
                continue
            kinds = {type(part), *map(type, parts)}
            if len(kinds) == len(parts) or (parts and kinds != {Cells, Stages}):
                hint = "stages and the cells in them may stand in one text"
                raise InvalidPart(Code.DUPLICATE, self.span(statement), "one genotype at a time", hint)
            parts.append(part)
            title = title or name
        return Genotype(tuple(sorted(parts, key=lambda part: isinstance(part, Cells))), title)

    def tree(self) -> python.Module:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return python.parse("\n".join(self.lines))
        except SyntaxError as error:
            start = self.offset(error.lineno or 1, 0) + max((error.offset or 1) - 1, 0)
            start = min(start, len(self.source.text.rstrip()))
            raise InvalidPart(
                Code.SYNTAX, Span(self.source, start, start + 1), f"this cannot be read: {error.msg}"
            ) from None
        except (ValueError, RecursionError, MemoryError):
            where = Span(self.source, self.skipped, self.skipped + 1)
            raise InvalidPart(
                Code.SYNTAX, where, "this cannot be read: it is nested too deeply, or is no text"
            ) from None

    def statement(self, statement: python.stmt) -> tuple[str | None, python.expr]:
        match statement:
            case python.Expr(value=value):
                return None, value
            case python.Assign(targets=[python.Name(id=name)], value=value):
                return name, value
        message = "a genotype is `Genotype(...)`, `NAME = Genotype(...)` or a string of NAS-Bench-201"
        raise InvalidPart(Code.KIND, self.span(statement), message)

    def part(self, value: python.expr) -> Part | None:
        if isinstance(value, python.Constant) and isinstance(value.value, str):
            span = self.span(value)
            if span.text[1:-1] == value.value:
                return read_lattice(Span(self.source, span.start + 1, span.end - 1), self.diagnostics)
        if not isinstance(value, python.Call):
            raise InvalidPart(Code.KIND, self.span(value), "a genotype is `Genotype(...)` or a string of NAS-Bench-201")
        called = self.span(value.func)
        word = called.text.rpartition(".")[2]
        if word not in _CONSTRUCTORS:
            hint = suggest(word, _CONSTRUCTORS) or f"known: {', '.join(_CONSTRUCTORS)}"
            raise InvalidPart(Code.UNKNOWN_NAME, called, f"unknown kind of genotype '{called.text}'", hint)
        return self.fields(value, called)

    # ------------------------------------------------------------ named parts

    def fields(self, call: python.Call, called: Span) -> Part | None:
        given: dict[str, _Given] = {}
        for arg in call.args:
            self.wrong(Code.ARGUMENT, self.span(arg), "every part of a genotype has its name: `normal = [...]`")
        for keyword in call.keywords:
            if keyword.arg is None:
                self.wrong(Code.ARGUMENT, self.span(keyword.value), "every part of a genotype has its name")
                continue
            start = self.span(keyword).start
            span = Span(self.source, start, start + len(keyword.arg))
            if keyword.arg in given:
                self.wrong(Code.DUPLICATE, span, f"'{keyword.arg}' is given twice")
            given.setdefault(keyword.arg, _Given(keyword.arg, keyword.value, span))
        wanted = self.wanted(given, called)
        for item in given.values():
            if item.name not in wanted:
                hint = suggest(item.name, wanted) or f"its parts are {', '.join(wanted)}"
                self.wrong(Code.ARGUMENT, item.span, f"this genotype has no part '{item.name}'", hint)
        missing = [name for name in wanted if name not in given]
        if missing:
            self.wrong(Code.MISSING, called, f"this genotype has no {' and no '.join(map(repr, missing))}")
        dags = {name: self.dag(name, given) for name in wanted if name in given and not name.endswith("_concat")}
        found = {name: dag for name, dag in dags.items() if dag is not None}
        if self.diagnostics:
            return None
        if "DAG1" in found:
            return Stages(tuple(found.values()))
        normals = tuple(dag for name, dag in found.items() if name.startswith("normal"))
        reductions = tuple(dag for name, dag in found.items() if name.startswith("reduce"))
        return Cells(normals, reductions, per_stage="normal1" in found)

    def wanted(self, given: dict[str, _Given], called: Span) -> list[str]:
        """The names of all parts of the form that the given ones belong to, in order."""
        known = {name: match for name in given if (match := _FIELD.fullmatch(name))}
        if not known:
            hint = "parts are normal and reduce, or DAG1, DAG2, ..., or normal1, reduce1, normal2, ..."
            raise InvalidPart(Code.MISSING, called, "none of the parts of a genotype is given", hint)
        first = next(iter(known.values()))
        if first[1] != "DAG" and first[2] is None:
            names = ["normal", "reduce"]
        else:
            kinds = ("DAG",) if first[1] == "DAG" else ("normal", "reduce")
            # A reduction cell stands behind its stage, and another stage behind it.
            counts = {
                name: int(match[2]) + (match[1] == "reduce")
                for name, match in known.items()
                if match[1] in kinds and match[2] is not None
            }
            last = max(counts, key=lambda name: counts[name])
            # One stage alone has no border, so its network has no reduction cell.
            stages = max(counts[last], 1 if first[1] == "DAG" else 2)
            if stages > len(given) + 1:
                message = f"stages are numbered from 1, without gaps: '{last}' is too far"
                raise InvalidPart(Code.ARGUMENT, given[last].span, message)
            names = [f"{kind}{k}" for k in range(1, stages + 1) for kind in kinds if (kind, k) != ("reduce", stages)]
        return [part for name in names for part in (name, f"{name}_concat")]

    # ------------------------------------------------------------ nodes

    def dag(self, name: str, given: dict[str, _Given]) -> Dag | None:
        """The nodes and the output of one cell or stage; the errors of both are reported."""
        try:
            nodes = tuple(tuple(node) for node in self.nodes(given[name].value))
        except InvalidPart as wrong:
            self.diagnostics.append(wrong.diagnostic)
            return None
        output = given.get(f"{name}_concat")
        if output is None:
            return None
        try:
            return Dag(nodes, self.concat(output.value, len(nodes), first=2 if name.startswith("reduce") else 0))
        except InvalidPart as wrong:
            self.diagnostics.append(wrong.diagnostic)
            return None

    def nodes(self, value: python.expr) -> list[list[Edge]]:
        items = self.items(value, "the nodes of a cell are a list of (operation, source)")
        if not items:
            raise InvalidPart(Code.FEW, self.span(value), "a cell has at least one node")
        flat = [self.is_edge(item) for item in items]
        if any(flat) and not all(flat):
            odd = items[flat.index(not flat[0])]
            raise InvalidPart(Code.KIND, self.span(odd), "a list of edges, or a list for each node: not both")
        if not flat[0]:
            return [self.node(item, j) for j, item in enumerate(items)]
        triples = [len(self.items(item)) == 3 for item in items]
        if any(triples):
            return self.triples(items)
        if len(items) % 2:
            raise InvalidPart(Code.FEW, self.span(items[-1]), "a node has two edges: this one has no partner")
        return [[self.edge(items[i], i // 2), self.edge(items[i + 1], i // 2)] for i in range(0, len(items), 2)]

    def node(self, value: python.expr, j: int) -> list[Edge]:
        items = self.items(value, "a node is a list of (operation, source)")
        if not items:
            raise InvalidPart(Code.FEW, self.span(value), f"node {j} has no edge")
        return [self.edge(item, j) for item in items]

    def triples(self, items: Sequence[python.expr]) -> list[list[Edge]]:
        """(operation, from, to), in any order; targets are numbered as sources are."""
        found: dict[int, list[Edge]] = {}
        for item in items:
            parts = self.items(item)
            if len(parts) != 3:
                raise InvalidPart(Code.KIND, self.span(item), "an edge is (operation, from, to), like those before it")
            target = self.number(parts[2], "a target")
            if not 2 <= target < len(items) + 2:
                message = f"{target} is no node here: the first is 2, and every node up to the last has an edge"
                raise InvalidPart(Code.RANGE, self.span(parts[2]), message)
            found.setdefault(target - 2, []).append(self.edge(item, target - 2))
        for j in range(max(found)):
            if j not in found:
                raise InvalidPart(Code.FEW, self.span(items[0]).to(self.span(items[-1])), f"node {j} has no edge")
        return [found[j] for j in range(len(found))]

    def edge(self, value: python.expr, j: int) -> Edge:
        parts = self.items(value)
        if len(parts) not in (2, 3):
            raise InvalidPart(Code.KIND, self.span(value), "an edge is (operation, source)")
        op = parts[0]
        if not isinstance(op, python.Constant) or not isinstance(op.value, str):
            raise InvalidPart(Code.KIND, self.span(op), "an operation is its name between quotes")
        source = self.number(parts[1], "a source")
        if source >= j + 2:
            hint = "0 and 1 are the inputs, 2 is node 0"
            message = f"node {j} reads from 0 to {j + 1}, not {source}"
            raise InvalidPart(Code.RANGE, self.span(parts[1]), message, hint)
        span = self.span(op)
        return Edge(source, op.value, Span(self.source, span.start + 1, max(span.end - 1, span.start + 1)))

    def is_edge(self, value: python.expr) -> bool:
        """Whether an item is an edge, rather than a list of edges."""
        items = self.items(value, "an edge is (operation, source)")
        return bool(items) and not isinstance(items[0], python.Tuple | python.List)

    # ------------------------------------------------------------ outputs

    def concat(self, value: python.expr, nodes: int, first: int) -> tuple[int, ...]:
        known = range(first, nodes + 2)
        found = []
        for source, span in self.sources(value, nodes):
            if source not in known:
                hint = "a reduction cell halves the resolution of its inputs" if source < first else None
                message = f"the output joins sources from {first} to {nodes + 1}, not {source}"
                raise InvalidPart(Code.RANGE, span, message, hint)
            found.append(source)
        if not found:
            raise InvalidPart(Code.FEW, self.span(value), "the output joins at least one node")
        return tuple(found)

    def sources(self, value: python.expr, nodes: int) -> Iterator[tuple[int, Span]]:
        match value:
            case python.Call(func=python.Name(id="range"), args=[_, *_] as args, keywords=[]) if len(args) <= 3:
                numbers = [self.number(arg, "an end of a range") for arg in args]
                for number, arg in zip(numbers, args, strict=True):
                    if number > nodes + 2:
                        raise InvalidPart(
                            Code.RANGE, self.span(arg), f"the last source is {nodes + 1}, so {number} is too far"
                        )
                if len(numbers) == 3 and not numbers[2]:
                    raise InvalidPart(Code.RANGE, self.span(args[2]), "a range has no step of 0")
                yield from ((source, self.span(value)) for source in range(*numbers))
            case _:
                items = self.items(value, "what the output joins is a list of sources or a range: `range(2, 6)`")
                yield from ((self.number(item, "a source"), self.span(item)) for item in items)

    # ------------------------------------------------------------ literals

    def items(self, value: python.expr, otherwise: str = "an edge is (operation, source)") -> list[python.expr]:
        if isinstance(value, python.Tuple | python.List):
            return value.elts
        raise InvalidPart(Code.KIND, self.span(value), otherwise)

    def number(self, value: python.expr, noun: str) -> int:
        if isinstance(value, python.Constant) and type(value.value) is int:
            if value.value >= LONGEST:
                raise InvalidPart(
                    Code.RANGE, self.span(value), f"{noun} is the number of an input or a node: this is too far"
                )
            return value.value
        raise InvalidPart(Code.KIND, self.span(value), f"{noun} is a whole number from 0 on")

    def wrong(self, code: Code, span: Span, message: str, hint: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, span, message, hint))
