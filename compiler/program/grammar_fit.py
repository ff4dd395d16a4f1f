"""The searches that suit a network with grammars: those that draw architectures and judge each by itself."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.elaborate import Elaborated
from compiler.searcher.settings.exploring import Evolution, RandomDraws
from compiler.searcher.settings.judges import TableJudge
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span


def of_grammars(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """The reasons why a network with grammars is not searched, or not so."""
    if space.decisions:
        other = next(iter(space.decisions.values()))
        message = f"'{space.name}' has a grammar and, at '{other.path}', another choice: it is not searched with both"
        yield Diagnostic(Code.UNMIXABLE, span, message, "make it a menu of the grammar", (other.span, "chosen here"))
    unfit = [
        f"`{name} = {word.describe()}`"
        for name, word, fits in (
            ("relax", settings.relax, isinstance(settings.relax, NoRelaxation)),
            ("derive", settings.derive, isinstance(settings.derive, RandomDraws | Evolution)),
            ("judge", settings.judge, not isinstance(settings.judge, TableJudge)),
        )
        if not fits
    ]
    if unfit:
        does = "does" if len(unfit) == 1 else "do"
        message = f"'{space.name}' has a grammar: its architectures are drawn and judged one by one"
        hint = "`relax = none`, `epochs = 0`, `derive = evolution(20, draw = weights)` and `judge = trained`"
        yield Diagnostic(Code.UNMIXABLE, span, f"{message}, which {' and '.join(unfit)} {does} not", hint)
