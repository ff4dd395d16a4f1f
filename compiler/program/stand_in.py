"""What stands in for the result of a phase that has not run: its first architecture, or its space."""

from __future__ import annotations

from compiler.derivation import derive_module, derive_space
from compiler.derivation.remaining import kept_items
from compiler.derivation.strongest import default_decisions, equal_strengths
from compiler.elaborate import Elaborated
from compiler.ir.decision import menus
from compiler.searcher.settings.derivation import Derivation, Menus
from compiler.searcher.settings.exploring import Explorer
from hdas_dsl.tree import ast


def stand_in(space: Elaborated, rule: Derivation | Explorer) -> ast.Module:
    """The first architecture of a space; the space itself where the rule leaves choices: they are decided later."""
    decisions = space.decisions
    if not isinstance(rule, Menus):
        return derive_module(space, default_decisions(decisions))
    return derive_space(space, {path: tuple(range(len(decisions[path].items))) for path in menus(decisions)})


def first_menus(space: Elaborated, rule: Menus) -> ast.Module:
    """What `menus` leaves of a space where all items are equally strong: as large as what it will find.

    Raises:
        HspError: a choice cannot lose items.
    """
    decisions = space.decisions
    kept = kept_items(decisions, equal_strengths(decisions), default_decisions(decisions), rule.keep)
    return derive_space(space, kept)
