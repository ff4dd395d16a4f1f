"""Names of operations in the text of an architecture as the grammar of its space writes them, `nb.skip` for `skip`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hdas_dsl.names import bare_name, local_names
from hdas_dsl.sameness import Definition, equal_up_to_names
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance


@dataclass(frozen=True)
class GrammarNames:
    """The names of operations that the menus of a file mention, and lines of the network.

    Args:
        known: each with the definition that it means, in the order in which they are looked through.
    """

    known: tuple[tuple[ast.Expr, Definition], ...]

    @classmethod
    def of(cls, menus: Instance, line: ast.Node, network: Instance) -> GrammarNames:
        """Those of the menus of a file, and of a line that mentions one of them.

        What menus of other files mention, which they take, is there by the names of the first.
        """
        found = [*_mentioned(menus.unit.module.definitions, menus), *_mentioned([line], network)]
        for other in _takes(menus):
            for name, meant in _mentioned(other.unit.module.definitions, other):
                if (here := menus.named(bare_name(name), meant[1])) is not None:
                    found.append((here, meant))
        return cls(tuple(found))

    def written(self, expr: ast.Expr, copy: ast.Definition, instance: Instance) -> ast.Expr:
        """A line of an architecture with these names for operations that say the same.

        Args:
            expr: what is written.
            copy: the definition that it stands in.
            instance: the file of the architecture.
        """
        local = local_names(copy)

        def named(node: ast.Node) -> ast.Node:
            meant = None if isinstance(node, ast.Name) and node.id in local else _meant(node, instance)
            if meant is None:
                return node.mapped(named)
            same = [name for name, definition in self.known if equal_up_to_names(definition, meant)]
            return node if node in same or not same else same[0]

        return named(expr)  # type: ignore[return-value]


def _mentioned(nodes: Iterable[ast.Node], instance: Instance) -> Iterator[tuple[ast.Expr, Definition]]:
    for node in nodes:
        for part in node.walk():
            meant = _meant(part, instance)
            if meant is not None and isinstance(part, ast.Expr):
                yield part, meant


def _takes(menus: Instance) -> Iterator[Instance]:
    """The files of the menus that those of a file take."""
    found: dict[int, Instance] = {}
    for part in (part for definition in menus.unit.module.definitions for part in definition.walk()):
        meant = menus.meant(part)
        if isinstance(meant, Entity) and isinstance(meant.plain, ast.MenuDef) and meant.instance is not menus:
            found[id(meant.instance)] = meant.instance
    yield from found.values()


def _meant(node: ast.Node, instance: Instance) -> Definition | None:
    """The operation that a node names in a file; None where it names none."""
    found = instance.meant(node)
    if isinstance(found, Entity) and isinstance(found.plain, ast.OpDef):
        return found.plain, found.instance
    return None
