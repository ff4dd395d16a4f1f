"""Items, cells and stages that a search names in its settings and preferences: those that its space does not have."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind, menus
from compiler.ir.quantities import AlphaMean, parts
from compiler.searcher.settings.axes import AlignInstances
from compiler.searcher.settings.sections import SearchSettings
from compiler.searcher.settings.stopping import Taken
from hdas_dsl.names import is_called, is_copy
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest_or_list
from hdas_dsl.text.source import Span


def unknown_names(space: Elaborated, settings: SearchSettings, span: Span) -> Iterator[Diagnostic]:
    """Each name that nothing of the space has, at the place of the section or phase."""
    for name, item in (("beside", settings.beside.wanted), ("dropout", settings.dropout.wanted)):
        if item is not None:
            yield from _item(space, f"{name} = {item}(...)", item, f"use `{name} = none`", span)
    if isinstance(settings.until, Taken):
        item, within = settings.until.item, settings.until.within
        setting = f'until = taken("{item}", ...)'
        yield from _item(space, setting, item, "use `until = never`", span)
        yield from _derived(space, setting, item, span)
        if within is not None and not _choosing(space, within):
            message = f"`until = taken(...)` looks at no cell '{within}' of this space"
            yield Diagnostic(Code.VALUE, span, message, _cells(space, within) or "leave `within` out")
    if isinstance(settings.align, AlignInstances):
        yield from _alignment(space, settings.align, span)
    for preference in space.preferences:
        for part in parts(preference.quantity):
            if isinstance(part, AlphaMean) and part.copy is not None and not any(map(part.covers, space.copies)):
                message = (
                    f"'{preference.name}' measures the choices of '{part.copy}', which is not a cell or stage here"
                )
                yield Diagnostic(Code.VALUE, span, message, _cells(space, part.copy) or f"write `{part.form.value}`")


def _item(space: Elaborated, setting: str, item: str, hint: str, span: Span) -> Iterator[Diagnostic]:
    """A setting names an item of menus."""
    known = {label for path in menus(space.decisions) for label in space.decisions[path].items}
    if not any(is_called(label, item) for label in known):
        message = f"`{setting}` names no item of a menu of this space"
        operations = {
            label
            for decision in space.decisions.values()
            if decision.kind is DecisionKind.OPERATION
            for label in decision.items
        }
        yield Diagnostic(Code.VALUE, span, message, suggest_or_list(item, operations) or hint)


def _derived(space: Elaborated, setting: str, item: str, span: Span) -> Iterator[Diagnostic]:
    """A setting waits for an item, which has to be one that an architecture can have."""
    found = [space.decisions[path] for path in menus(space.decisions)]
    known = [(label, left) for each in found for label, left in zip(each.items, each.derivable, strict=True)]
    if not any(left for label, left in known if is_called(label, item)) and any(
        is_called(label, item) for label, _ in known
    ):
        message = f"`{setting}` waits for an item that is searched over and never derived"
        yield Diagnostic(Code.VALUE, span, message, "name another item, or use `until = never`")


def _alignment(space: Elaborated, word: AlignInstances, span: Span) -> Iterator[Diagnostic]:
    """`align` compares instances of a cell that stands in several places."""
    from compiler.backend.passes.apart import cells, compared, instances
    from compiler.backend.passes.flatten import flatten  # With all passes, which most files need not load.

    if not cells(instances(flatten(space.block.graph), compared(space.decisions, word.within))):
        of = "cell" if word.within is None else f"cell '{word.within}'"
        message = f"`align` compares the instances of a cell, and no {of} with menus stands in several places here"
        known = word.within is None or _choosing(space, word.within)
        hint = None if known or word.within is None else _cells(space, word.within)
        yield Diagnostic(Code.VALUE, span, message, hint or "use `align = none`")


def _choosing(space: Elaborated, name: str) -> bool:
    """Whether a copy of that name has choices."""
    return any(is_copy(decision.copy, name) for decision in space.decisions.values())


def _cells(space: Elaborated, wrong: str) -> str | None:
    """The cells that a setting may name: the copies that have choices, by their names in paths."""
    return suggest_or_list(wrong, (decision.copy for decision in space.decisions.values()))
