"""Stand-ins for the result of a phase that has not run: its first architecture, or its space."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

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
    return whole(space)


def whole(space: Elaborated) -> ast.Module:
    """A space with all that it decides; raises HspError where it cannot be written as a result."""
    decisions = space.decisions
    return derive_space(space, {path: tuple(range(len(decisions[path].items))) for path in menus(decisions)})


def members(result: str, readers: Iterable[ast.Node]) -> frozenset[str] | None:
    """The definitions of the result of a phase that sections and arguments name; None where one takes all of it."""
    nodes = [node for reader in readers for node in reader.walk()]
    named = [node.name for node in nodes if isinstance(node, ast.Field) and node.base == ast.Name(result)]
    return frozenset(named) if len(named) == nodes.count(ast.Name(result)) else None


def only(module: ast.Module, names: Iterable[str]) -> ast.Module:
    """The definitions of these names, and all that they and the uses reach.

    What else changes in a space then leaves the text as it was, and what was read from it.
    """
    definitions: dict[str, list[ast.Definition]] = {}
    for definition in module.definitions:
        definitions.setdefault(definition.name, []).append(definition)
    pending, kept = [*names, *_words(*module.uses)], set()
    while pending:
        name = pending.pop()
        if name in definitions and name not in kept:
            kept.add(name)
            pending += _words(*definitions[name])
    left = (line for line in module.lines if not isinstance(line, ast.Definition) or line.name in kept)
    return replace(module, lines=tuple(left))


def _words(*lines: ast.Node) -> set[str]:
    """Whatever may be the name of a definition in these lines."""
    nodes = [node for line in lines for node in line.walk()]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.name for node in nodes if isinstance(node, ast.Field)}


def first_menus(space: Elaborated, rule: Menus) -> ast.Module:
    """The space that `menus` leaves where all items are equally strong: as large as the one that it will find.

    Raises:
        HspError: a choice cannot lose items.
    """
    decisions = space.decisions
    kept = kept_items(decisions, equal_strengths(decisions), default_decisions(decisions), rule.keep)
    return derive_space(space, kept)
