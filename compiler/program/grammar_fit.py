"""Which searches suit a network with grammars: those that draw architectures and judge each by itself."""

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
    """The reason why these settings do not suit a network with grammars."""
    alone = isinstance(settings.relax, NoRelaxation) and not isinstance(settings.judge, TableJudge)
    if not alone or not isinstance(settings.derive, RandomDraws | Evolution):
        message = f"'{space.name}' has a grammar: its architectures are drawn and judged one by one"
        hint = "`relax = none`, `epochs = 0`, `derive = evolution(20, draw = weights)` and `judge = trained`"
        yield Diagnostic(Code.UNMIXABLE, span, message, hint)
