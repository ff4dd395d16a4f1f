"""The `train` section that an architecture takes along: about its network, and by the names of its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from compiler.elaborate.named import of_result
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .references import References


@dataclass(frozen=True, eq=False)
class Training:
    """A `train` section.

    Args:
        section: the section as it is written.
        instance: the file whose names it says.
        results: the results of phases that it may name, by name.
    """

    section: ast.Train
    instance: Instance
    results: Mapping[str, Instance]

    def about(self, network: str, references: References) -> ast.Train:
        """The section about a network of the derived file, which then has all that the section requires something of.

        Settings have no names of definitions.
        """
        target, settings = self.section.target, list[ast.SettingLine]()
        for line in self.section.settings:
            required = isinstance(line, ast.Require)
            settings.append(self._named(line, references) if required else line)  # type: ignore[arg-type]
        args = [self._named(arg, references) for arg in target.args] if isinstance(target, ast.Call) else []
        name = ast.Name(network)
        call = ast.Call(name, tuple(args)) if isinstance(target, ast.Call) else name  # type: ignore[arg-type]
        return replace(self.section, target=call, settings=tuple(settings), gap=True)

    def _named(self, node: ast.Node, references: References) -> ast.Node:
        """A node with the names of definitions as they are called there."""
        match node:
            case ast.Field(base=ast.Name(id=base)) if base in self.results:
                found = of_result(self.results[base], node.name, self.instance, node.span)
                return references.entity(found)
            case ast.Name() | ast.Field() | ast.Copy():
                return references.renamed_node(node, self.instance, frozenset())
        return node.mapped(lambda child: self._named(child, references))


def statements(section: ast.Train) -> ast.Train:
    """A `train` section without its settings: what it says of definitions."""
    return replace(section, settings=tuple(line for line in section.settings if isinstance(line, ast.Require)))
