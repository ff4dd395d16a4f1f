"""Settings that a search cannot combine with its space, or with its statements: refused before training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from compiler.derivation.selected_steps import NothingSelectedError, Paths
from compiler.derivation.strongest import default_decisions
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind, menus
from compiler.ir.graph import Block, Call, SpaceGraph
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.base import Gather, Operator
from compiler.ir.quantities import AlphaForm, AlphaMean, Depth, parts
from compiler.searcher.settings.axes import Edges, PhaseStart
from compiler.searcher.settings.derivation import Menus, Threshold
from compiler.searcher.settings.narrowing import NoNarrowing
from compiler.searcher.settings.optimizers import AlphaFixed, AlphaNatural
from compiler.searcher.settings.relaxation import Dirichlet, Fair, Gates, Gumbel, Picks, Sample, Sandwich, Sparse
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.text.source import Span

from .grammar_fit import of_grammars
from .named_by_settings import unknown_names
from .stand_in import first_menus


def refusals(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """Each reason why these settings do not suit the space, at the place of the section or phase."""
    if space.grammars:
        yield from of_grammars(space, settings, span)
        return
    if settings.relax.mixes:
        yield from space.refusals
    if settings.edges is Edges.WEIGHED:
        yield from _edges(space, span)
    yield from unknown_names(space, settings, span)
    if not settings.drop_path.is_off:
        yield from _dropped_paths(space, span)
    if not isinstance(settings.narrow, NoNarrowing):
        yield from _narrowing(space, span)
    yield from _draws(space, settings, span)
    if isinstance(settings.alphas, AlphaNatural):
        yield from _natural(space, span)
    yield from _measures(space, settings, span)
    if isinstance(settings.relax, Sparse):
        yield from _sparse(space, settings, span)
    match settings.derive:
        case Menus() as rule:
            yield from _menus(space, rule, span)
        case Threshold():
            yield from _threshold(space, span)


def _draws(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """The items that a relaxation draws exist in the space."""
    match settings.relax:
        case Gumbel(picks=Picks.ALL, draws=draws):
            yield from _all_candidates(space, span)
            yield from _several_items(space, span) if draws > 1 else ()
        case Gates():
            yield from _gates(space, span)
        case Sample(weights=Fair()):
            yield from _fair(space, span)
        case Sample(weights=Sandwich()):
            yield from _sandwich(space, span)


def _menus(space: Elaborated, rule: Menus, span: Span) -> Iterator[Diagnostic]:
    """Choices lose items where the text can say so."""
    instead = "keep as many items as the choices have, or use `derive = strongest`"
    try:
        first_menus(space, rule)
    except HspError as error:
        for found in error.diagnostics:
            message = f"`{rule.describe()}`: {found.message}"
            yield replace(found, message=message, hint=instead, other=(span, "asked for here"))


def _threshold(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """A threshold says of picks how many they take."""
    if all(decision.least == decision.most for decision in space.decisions.values()):
        message = "`derive = threshold` takes fewer inputs than a pick may, and each pick of this space has its number"
        yield Diagnostic(Code.VALUE, span, message, "write `pick 0..2 of` for `pick 2 of`, or use `derive = strongest`")


def _measures(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """Measures of alphas are of alphas that move, divergences of Dirichlet distributions."""
    for preference in space.preferences:
        if isinstance(settings.relax, Sparse):
            message = f"'{preference.name}' is measured by probabilities of items, and `relax = sparse` has none"
            yield Diagnostic(Code.VALUE, span, message, "leave the preference out, or use `relax = softmax`")
            continue
        measures = [part for part in parts(preference.quantity) if isinstance(part, AlphaMean)]
        if measures and isinstance(settings.alphas, AlphaFixed):
            message = f"'{preference.name}' is a measure of alphas, which `alphas = fixed` never moves"
            yield Diagnostic(Code.VALUE, span, message, "leave the preference out, or let the alphas move")
        if not isinstance(settings.relax, Dirichlet) and any(m.form is AlphaForm.DIVERGENCE for m in measures):
            message = f"'{preference.name}' is a divergence of Dirichlet distributions, and this search has none"
            yield Diagnostic(Code.VALUE, span, message, "use `relax = dirichlet`, or `minimize entropy`")


def _sparse(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """Codes are of menus or inputs that are taken by number, and of no other phase."""
    kinds = (DecisionKind.OPERATION, DecisionKind.PICK)
    if not any(decision.kind in kinds and not decision.independent for decision in space.decisions.values()):
        message = "`relax = sparse` codes items of menus and inputs, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `relax = softmax`")
    if isinstance(settings.start, PhaseStart) and settings.start.alphas:
        message = "`alphas = true` takes alphas of items, and those of `relax = sparse` are codes"
        yield Diagnostic(Code.VALUE, span, message, "start from weights alone")


def _narrowing(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Only items of menus are given up; a depth of raw alphas would use those of dead items, which mean nothing."""
    if not menus(space.decisions):
        message = "`narrow` gives up items of menus, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `narrow = none`")
    for preference in space.preferences:
        if any(isinstance(part, Depth) for part in parts(preference.quantity)):
            message = f"'{preference.name}' is made of raw alphas, also of items that `narrow` gives up"
            yield Diagnostic(Code.VALUE, span, message, "leave one of both out")


def _edges(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Edges weigh in picks of menus."""
    if not any(decision.candidates for decision in space.decisions.values()):
        message = "`edges = weighed` weighs the candidates of picks of menus, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `edges = shared`")


def _dropped_paths(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """The text says which paths are dropped."""
    if not any(op.drops_paths for op in _operators(space.block.graph, set())):
        message = "`drop_path` is the rate of the text's operation of that name, and this space has none"
        yield Diagnostic(Code.VALUE, span, message, "use `drop_path = 0`, or write `-> drop_path` behind operations")


def _operators(graph: SpaceGraph, seen: set[Block]) -> Iterator[Operator]:
    """The primitives of a graph and of the blocks that it calls, each block once."""
    for _, node in graph.order():
        match node.payload:
            case Prim(op=op):
                yield op
            case Call(block=block) if block not in seen:
                seen.add(block)
                yield from _operators(block.graph, seen)


def _gates(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Gates are items of menus."""
    for decision in space.decisions.values():
        if decision.kind is DecisionKind.PICK and not decision.candidates:
            message = f"`relax = gates` draws items of menus, and the candidates of '{decision.path}' are none"
            yield Diagnostic(Code.VALUE, span, message, "use `relax = gumbel(hard = true)`")
            return
    yield from _all_candidates(space, span)


def _all_candidates(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """All candidates of picks may run at once where they are added up."""
    for copy in space.copies.values():
        graph = copy.body.graph
        for index, node in graph.order():
            op = node.payload.op if isinstance(node.payload, Prim) else None
            if op is None or op.gather is not Gather.CONCATENATION:
                continue
            if any(isinstance(graph.node(source).payload, Weigh) for source in graph.sources(index)):
                message = f"'{node.name}' concatenates candidates of a pick, and with all of them it has another width"
                yield Diagnostic(Code.VALUE, span, message, "use `relax = gumbel(hard = true)`, which draws picks")
                return


def _several_items(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Several items of a choice run at once where nothing has a parameter or a shape that depends on it."""
    if shaping := _paths(space).shaping:
        message = f"several draws of '{min(shaping)}' cannot run at once: it decides the shape of others"
        yield Diagnostic(Code.VALUE, span, message, "use `relax = gumbel(hard = true)`")


def _natural(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Each decision is a choice of one item, of a distribution of its own, that may move above its floors."""
    instead = "use `alphas = adam`"
    for preference in space.preferences:
        message = f"`alphas = natural` ranks what is drawn by its loss alone, and does not see '{preference.name}'"
        yield Diagnostic(Code.VALUE, span, message, instead)
        return
    count = sum(len(decision.items) > 1 for decision in space.decisions.values())
    for path, decision in space.decisions.items():
        items = len(decision.items)
        if decision.candidates or not decision.takes_one:
            why = f"'{path}' takes several, or items of several menus"
        elif not all(decision.derivable):
            why = f"'{path}' has an item that is never drawn"
        elif items > 1 and items >= count * (items - 1):
            why = f"of {count} choices each item of '{path}' keeps a probability of 1/{count * (items - 1)}"
        else:
            continue
        message = f"`alphas = natural` moves the probabilities of choices of one item, and {why}"
        yield Diagnostic(Code.VALUE, span, message, instead)
        return


def _sandwich(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """The largest and the smallest architecture differ in numbers or sizes."""
    if not any(decision.kind in (DecisionKind.NUMBER, DecisionKind.SIZE) for decision in space.decisions.values()):
        message = "`weights = sandwich` trains both extremes of numbers and sizes, and this space leaves none undecided"
        yield Diagnostic(Code.VALUE, span, message, "use `weights = fair`, or `uniform`")


def _fair(space: Elaborated, span: Span) -> Iterator[Diagnostic]:
    """Each item of each choice runs once a step: choices of one item each, of equal numbers, that always exist."""
    instead = "use `weights = uniform`"
    decisions = list(space.decisions.values())
    several = next((d for d in decisions if d.candidates or not d.takes_one), None)
    if several is not None:
        message = (
            f"`weights = fair` runs each item of a choice once a step, which the pick '{several.path}' does not let it"
        )
        yield Diagnostic(Code.VALUE, span, message, instead)
        return
    uneven = next((d for d in decisions[1:] if sum(d.derivable) != sum(decisions[0].derivable)), None)
    if uneven is not None:
        first = decisions[0]
        message = (
            "`weights = fair` runs each item of each choice once a step, so that all need equally many: "
            f"'{first.path}' has {sum(first.derivable)}, '{uneven.path}' has {sum(uneven.derivable)}"
        )
        yield Diagnostic(Code.VALUE, span, message, instead)
        return
    nested = _conditional(space)
    if nested is not None:
        message = (
            f"`weights = fair` runs each item of each choice once a step, and '{nested}' is not in all architectures"
        )
        yield Diagnostic(Code.VALUE, span, message, instead)


def _conditional(space: Elaborated) -> str | None:
    """A decision that an architecture does not depend on which differs from the first one in at most one decision."""
    paths, start = _paths(space), default_decisions(space.decisions)
    changes: list[tuple[Decision, int]] = [(d, i) for d in space.decisions.values() for i in range(len(d.items))]
    for decision, item in changes:
        if decision.derivable[item]:
            try:
                used = paths.path({**start, decision.path: (item,)}).used
            except NothingSelectedError:
                return decision.path
            if unused := space.decisions.keys() - used:
                return min(unused)
    return None


def _paths(space: Elaborated) -> Paths:
    """The steps of the flat network under a selection."""
    from compiler.backend.passes.flatten import flatten  # With all passes, which most files need not load.

    return Paths(flatten(space.block.graph), space.decisions)
