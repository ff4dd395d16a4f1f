"""Named tuples of cells and stages, and dictionaries with the same parts.

`Genotype(normal, normal_concat, reduce, reduce_concat)`; `Genotype3(normal1, normal1_concat, reduce1, ...)`, cells of
their own for every stage and border; `Genotype2(DAG1, DAG1_concat, DAG2, ...)`, stages. A class of another name, and a
dictionary, are known by these parts; parts may stand without their names, in this order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hdas_dsl.genotype.literals import Call, Entry, Literal, Mapping, Nothing
from hdas_dsl.genotype.model import Cells, Dag, Stages
from hdas_dsl.genotype.problems import InvalidPartError, Report
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span

from .base import Form, entries_of
from .edges import EdgeReader, order_of

_CONSTRUCTORS = ("Genotype", "Genotype2", "Genotype3")
_FIELD = re.compile(r"(normal|reduce|DAG)([1-9][0-9]{0,8})?(_concat)?")

_NETWORK_PARTS = ("connectN", "connects", "layout")
"""Parts of some programs that say how the network around the cells is built."""


@dataclass(frozen=True)
class _Given:
    """The parts of a genotype by name; ``called`` is the place of the tuple or dictionary that has them."""

    parts: dict[str, Entry]
    called: Span

    @property
    def known(self) -> dict[str, re.Match[str]]:
        return {name: match for name in self.parts if (match := _FIELD.fullmatch(name))}


def _looks(value: Literal, stages: bool) -> bool:
    """Whether this is a genotype, or is meant to be one; of ``stages``, or of cells."""
    names = [entry.name for entry in entries_of(value) if entry.name and _FIELD.fullmatch(entry.name)]
    if any(name.startswith("DAG") for name in names):
        return stages
    meant = len(set(names)) > 1
    if isinstance(value, Call):
        if value.word == "Genotype2" and not names:
            return stages
        meant = meant or value.word in _CONSTRUCTORS or suggest(value.word, _CONSTRUCTORS) is not None
    return meant and not stages


def _read(value: Literal, report: Report) -> Cells | Stages | None:
    given = _given(value, report)
    wanted = _wanted(given)
    for item in given.parts.values():
        if item.name not in wanted and not isinstance(item.value, Nothing):
            report.caught(_unwanted(item, wanted))
    missing = [name for name in wanted if name not in given.parts]
    if missing:
        message = f"this genotype has no {' and no '.join(map(repr, missing))}"
        report.wrong(Code.MISSING, given.called, message)
    nodes = [name for name in wanted if not name.endswith("_concat") and name in given.parts]
    reader = EdgeReader(report, order_of(given.parts[name].value for name in nodes))
    found: dict[str, Dag] = {}
    for name in nodes:
        output = given.parts.get(f"{name}_concat")
        first = 2 if name.startswith("reduce") else 0
        dag = reader.dag(given.parts[name].value, None if output is None else output.value, first)
        if dag is not None:
            found[name] = dag
    if report.failed:
        return None
    if "DAG1" in found:
        return Stages(tuple(found.values()))
    normals = tuple(dag for name, dag in found.items() if name.startswith("normal"))
    reductions = tuple(dag for name, dag in found.items() if name.startswith("reduce"))
    return Cells(normals, reductions, per_stage="normal1" in found)


def _given(value: Literal, report: Report) -> _Given:
    """The parts of a call or a dictionary; those without a name get the one of their place."""
    parts: dict[str, Entry] = {}
    called = value.span
    if isinstance(value, Call):
        called = value.called
        entries = [entry for entry in value.entries if entry.name]
        meant = sum(_FIELD.fullmatch(entry.name or "") is not None for entry in entries)
        if value.word not in _CONSTRUCTORS and meant < 2:
            hint = suggest(value.word, _CONSTRUCTORS) or f"known: {', '.join(_CONSTRUCTORS)}"
            raise InvalidPartError(Code.UNKNOWN_NAME, called, f"unknown kind of genotype '{called.text}'", hint)
        names = _places(value.word, len(value.args))
        for name, arg in zip(names, value.args, strict=False):
            parts[name] = Entry(name, arg, arg.span)
        for arg in value.args[len(names) :]:
            report.wrong(Code.ARGUMENT, arg.span, f"this genotype has {len(names)} parts, and this is one more")
    elif isinstance(value, Mapping):
        called = Span(called.source, called.start, called.start + 1)
    for entry in entries_of(value):
        if entry.name is None:
            report.wrong(Code.ARGUMENT, entry.span, "every part of a genotype has its name")
            continue
        if entry.name in parts:
            report.wrong(Code.DUPLICATE, entry.span, f"'{entry.name}' is given twice")
        parts.setdefault(entry.name, entry)
    return _Given(parts, called)


def _places(word: str, count: int) -> list[str]:
    """The names of the parts of a named tuple, in order."""
    match word:
        case "Genotype2":
            return _both(f"DAG{k}" for k in range(1, count // 2 + 1))
        case "Genotype3":
            stages = (count // 2 + 1) // 2 + 1
            return _both(f"{kind}{k}" for k in range(1, stages) for kind in ("normal", "reduce"))
    return [*_both(("normal", "reduce")), *_NETWORK_PARTS[:2]]


def _both(names: Iterable[str]) -> list[str]:
    return [part for name in names for part in (name, f"{name}_concat")]


def _wanted(given: _Given) -> list[str]:
    """The names of all parts of the form that the given ones belong to, in order."""
    known = given.known
    if not known:
        hint = "parts are normal and reduce, or DAG1, DAG2, ..., or normal1, reduce1, normal2, ..."
        raise InvalidPartError(Code.MISSING, given.called, "none of the parts of a genotype is given", hint)
    first = next(iter(known.values()))
    if first[1] != "DAG" and first[2] is None:
        return _both(("normal", "reduce"))
    kinds = ("DAG",) if first[1] == "DAG" else ("normal", "reduce")
    # A reduction cell stands behind its stage, and another stage behind it.
    counts = {
        name: int(match[2]) + (match[1] == "reduce")
        for name, match in known.items()
        if match[1] in kinds and match[2] is not None
    }
    last = max(counts, key=lambda name: counts[name])
    # A single stage has no border, so the network would have no reduction cell.
    stages = max(counts[last], 1 if first[1] == "DAG" else 2)
    if stages > len(given.parts) + 1:
        message = f"stages are numbered from 1, without gaps: '{last}' is too far"
        raise InvalidPartError(Code.ARGUMENT, given.parts[last].span, message)
    return _both(f"{kind}{k}" for k in range(1, stages + 1) for kind in kinds if (kind, k) != ("reduce", stages))


def _unwanted(item: Entry, wanted: Sequence[str]) -> InvalidPartError:
    """The error of a part that is not None and belongs to no genotype."""
    name = str(item.name)
    if name in _NETWORK_PARTS:
        message = f"'{name}' says how the network around the cells is built, which is the space's: only None is read"
        return InvalidPartError(Code.ARGUMENT, item.span, message)
    hint = suggest(name, wanted) or f"its parts are {', '.join(wanted)}"
    return InvalidPartError(Code.ARGUMENT, item.span, f"this genotype has no part '{name}'", hint)


_CALLED = r"(?<![\w.])(?:[A-Za-z_]\w*\.)*"
_KEY = r"\{\s*['\"]"

CELLS = Form(
    "cells",
    lambda value: _looks(value, stages=False),
    _read,
    re.compile(
        rf"{_CALLED}Genotype3?\(|{_CALLED}[A-Za-z_]\w*\(\s*(?:normal|reduce)\w*\s*=|{_KEY}(?:normal|reduce)[0-9]*['\"_]"
    ),
)
STAGES = Form(
    "stages",
    lambda value: _looks(value, stages=True),
    _read,
    re.compile(rf"{_CALLED}Genotype2\(|{_CALLED}[A-Za-z_]\w*\(\s*DAG\w*\s*=|{_KEY}DAG"),
)
