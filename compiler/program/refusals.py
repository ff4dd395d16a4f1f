"""What a search cannot combine with the space that it searches, or with what is stated of it: asked before training."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.elaborate import Elaborated
from compiler.ir.decision import menus
from compiler.ir.payloads import Weigh
from compiler.ir.quantities import AlphaForm, AlphaMean, Depth, parts
from compiler.searcher.settings.axes import Edges
from compiler.searcher.settings.narrowing import NoNarrowing
from compiler.searcher.settings.optimizers import AlphaFixed
from compiler.searcher.settings.relaxation import Dirichlet
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span


def refusals(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """Each reason why these settings do not suit the space, at the place of the section or phase."""
    if settings.relax.mixes:
        yield from space.refusals
    if settings.edges is Edges.WEIGHED:
        yield from _edges(space, span)
    if not isinstance(settings.narrow, NoNarrowing):
        yield from _narrowing(space, span)
    for preference in space.preferences:
        measures = [part for part in parts(preference.quantity) if isinstance(part, AlphaMean)]
        if measures and isinstance(settings.alphas, AlphaFixed):
            message = f"'{preference.name}' is a measure of alphas, which `alphas = fixed` never moves"
            yield Diagnostic(Code.VALUE, span, message, "leave the preference out, or let the alphas move")
        if not isinstance(settings.relax, Dirichlet) and any(m.form is AlphaForm.DIVERGENCE for m in measures):
            message = f"'{preference.name}' is a divergence of Dirichlet distributions, and this search has none"
            yield Diagnostic(Code.VALUE, span, message, "use `relax = dirichlet`, or `minimize entropy`")


def _narrowing(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """What is given up are items of menus; a depth is made of raw alphas, and those of dead items mean nothing."""
    if not menus(space.decisions):
        message = "`narrow` gives up items of menus, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `narrow = none`")
    for preference in space.preferences:
        if any(isinstance(part, Depth) for part in parts(preference.quantity)):
            message = f"'{preference.name}' is made of raw alphas, also of items that `narrow` gives up"
            yield Diagnostic(Code.VALUE, span, message, "leave one of both out")


def _edges(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Edges weigh in picks of menus, each of whose menus is read by its pick alone."""
    picks = {path for path, decision in space.decisions.items() if decision.candidates}
    if not picks:
        message = "`edges = weighed` weighs the candidates of picks of menus, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `edges = shared`")
    for copy in space.copies.values():
        graph = copy.body.graph
        for index, node in graph.order():
            if not isinstance(node.payload, Weigh) or node.payload.decision not in picks:
                continue
            (source,) = graph.sources(index)
            if len(graph.readers(source)) > 1:
                message = f"`edges = weighed` cannot weigh '{node.name}': its menu is read outside of the pick as well"
                yield Diagnostic(Code.VALUE, node.span, message, "use `edges = shared`")
