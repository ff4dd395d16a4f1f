"""Inlay hints and code lenses: the shapes of lines, and summaries of networks and sections."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from compiler.analysis.architectures.grammar_space import GrammarSpace
from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.requirements.evaluate import unmet
from compiler.elaborate import Elaborated
from compiler.program.model import Program
from compiler.reports.facts import cardinality
from compiler.util.errors import UsageError
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast

from .document import Document
from .positions import offset, position, span_range
from .values import derived, shapes

MOST_DIGITS = 12
"""Numbers of more digits are shown as a power of ten."""
FEW_RUNS = 500
"""How many times productions are elaborated for the number of a grammar: some tenths of a second."""


def inlay_hints(document: Document, within: types.Range) -> list[types.InlayHint]:
    """The shape of each line of a body that is a tensor, behind the name of the line."""
    if document.unit is None:
        return []
    start, end = offset(document.source, within.start), offset(document.source, within.end)
    found = []
    for definition in document.unit.module.definitions:
        for line in definition.walk():
            if not isinstance(line, ast.Binding | ast.Output) or not start <= line.span.start <= end:
                continue
            items = document.occurrences.get((line.value.span.start, line.value.span.end), ())
            text = shapes(items)
            if not text:
                continue
            behind = line.target.span.end if isinstance(line, ast.Binding) else line.span.start + len("output")
            place = position(document.source, behind)
            found.append(
                types.InlayHint(place, f": {text}{derived(items)}", kind=types.InlayHintKind.Type, padding_left=False)
            )
    return found


def lenses(document: Document) -> list[types.CodeLens]:
    """Above each network and section: how many architectures, their costs, and whether requirements are met."""
    unit = document.unit
    if unit is None or not document.is_right:
        return []
    found = []
    for line in unit.module.lines:
        if isinstance(line, ast.GraphDef) and line.level is ast.Level.NETWORK:
            program = _with(document, line)
            if program is not None:
                found.append(_lens(line, program.network.once(summary)))
        elif isinstance(line, ast.Search) and document.program is not None:
            phases = document.program.phases
            for phase in phases:
                said = phase.network.once(summary) + (f" in phase {phase.name}" if phase.name else "")
                found.append(_lens(line, said))
            found += [_lens(line, text) for text in requirements(document.program)]
        elif isinstance(line, ast.Train) and document.program is not None:
            trained = document.program.train_network
            found += [] if trained is None else [_lens(line, trained.once(summary))]
    return found


def _with(document: Document, line: ast.GraphDef) -> Program | None:
    """A program whose network is that of a definition."""
    program = document.program
    if program is not None:
        root = program.network.root.definition
        if document.elaborations.is_own(root.span.source) and root.span.start == line.span.start:
            return program
    return document.program_of(line.name)


def _lens(line: ast.Line, title: str) -> types.CodeLens:
    where = span_range(line.span.head(1))
    return types.CodeLens(where, command=types.Command(title, ""))


def summary(network: Elaborated) -> str:
    """A network in a few words: of a space the costs of its largest architecture's parts, all candidates counted."""
    total = Costs().block(network.block)
    costs = [
        f"{value:,} {name}"
        for name, value in (("parameters", total.params), ("multiply-adds", total.macs))
        if value is not None
    ]
    if not network.is_space:
        return ", ".join(["one architecture", *costs])
    if network.grammars:
        return trees(network)
    return ", ".join([*_number(network), *between(network)])


def trees(network: Elaborated) -> str:
    """How many architectures the grammars of a network make, where that is soon known; they have costs one by one."""
    from compiler.analysis.counting.errors import UncountableError

    try:
        return f"{_power(GrammarSpace(network, FEW_RUNS).number)} architectures of a grammar"
    except (UncountableError, UsageError, HspError):  # An item that the first tree does not take may be wrong.
        return "architectures of a grammar"


def _number(network: Elaborated) -> Iterator[str]:
    from compiler.analysis.counting.errors import UncountableError

    try:
        number = cardinality(network)
    except UncountableError:
        return
    yield f"{_power(number)} architectures"


def _power(number: int) -> str:
    if number < 10**MOST_DIGITS:
        return f"{number:,}"
    return f"{number:.2e}" if number < 10**300 else f"10^{len(str(number)) - 1}"


def between(network: Elaborated) -> Iterator[str]:
    """Between which values the costs of an architecture lie."""
    from compiler.analysis.requirements.ranges import ranges_of

    names = {"params": "parameters", "macs": "multiply-adds"}
    for name, span in ranges_of(network, names):
        yield f"{span.low:,.0f} to {span.high:,.0f} {names[name]}"


def requirements(program: Program) -> Iterator[str]:
    """Whether an architecture meets what is required of it; of a space, how much is."""
    stated = [item for item, space in program.requirements if not space.is_space]
    if stated:
        wrong = {item.span for item in unmet(program.network)}
        yield f"{len(stated) - len(wrong)} of {len(stated)} requirements met"
    elif program.requirements:
        yield f"every architecture meets {plural(len(program.requirements), 'requirement')}"
