"""A definition of a space as a template: its lines of nodes, and the sources that these read.

In ``n[i < 4] = sum(pick 2 of Micro(each (x, y), stride = 2))`` a node is the sum of operations on x and y. A genotype
puts lines of its own there (`fill.py`). All else in the definition is the space's, so that what is imported lies in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .inline import Site
from .menu import Operation, offered

HOLE = ast.Name("...")
"""Stands where the edges of a node are."""


@dataclass(frozen=True)
class _Application:
    """The application of operations to some sources of a node; ``extra`` are its further arguments, `stride = 2`."""

    func: ast.Expr
    bundle: ast.Expr
    extra: tuple[ast.Arg, ...]


@dataclass(frozen=True)
class Template:
    """A definition with room for nodes: one line for all of them, or a line for each."""

    site: Site
    family: str
    lines: tuple[ast.Binding, ...]
    sources: tuple[str, ...]
    """The names that the first numbers of a genotype stand for, in the order of the definition."""

    @property
    def one_line(self) -> bool:
        """Whether all nodes are one line, so that there may be any number of them."""
        return bool(self.lines[0].target.dims)

    @property
    def room(self) -> int | None:
        """How many nodes there may be; None for any number."""
        return None if self.one_line else len(self.lines)

    def line(self, j: int) -> ast.Binding:
        """The line of node j, with a hole in place of the sum."""
        line = self.lines[0] if self.one_line else self.lines[j]
        index = line.target.dims[0].index if self.one_line else None

        def change(node: ast.Node) -> ast.Node:
            if _is_sum(node):
                return HOLE
            if index is not None and node == ast.Name(index):
                return ast.Number(str(j))
            return node.mapped(change)

        target = ast.Target.of(element_name(self.family, (j,)))
        return replace(line.mapped(change), target=target, note=None)

    def source(self, position: int) -> str:
        """The name of a source."""
        if position < len(self.sources):
            return self.sources[position]
        return element_name(self.family, (position - len(self.sources),))

    def extra(self, j: int, position: int) -> tuple[ast.Arg, ...]:
        """The arguments of an edge of node j from a source, besides its operation."""
        name = self.source(position)
        ranked = sorted(
            self._applications(j),
            key=lambda item: (
                name not in self._candidates(item.bundle, j),
                not self._reads(item.bundle, position >= len(self.sources)),
            ),
        )
        return ranked[0].extra

    def operations(self, j: int, position: int) -> dict[str, Operation]:
        """The operations of node j on a source; those on any, where the space has no such edge."""
        found = [item for item in self._applications(j) if self.source(position) in self._candidates(item.bundle, j)]
        made: dict[str, Operation] = {}
        for item in found or self._applications(j):
            made |= offered(item.func, self.site.instance, self.site.defaults)
        return made

    def _applications(self, j: int) -> tuple[_Application, ...]:
        return self._all[0 if self.one_line else min(j, len(self.lines) - 1)]

    @cached_property
    def _all(self) -> tuple[tuple[_Application, ...], ...]:
        return tuple(tuple(_applied(line)) for line in self.lines)

    def _candidates(self, bundle: ast.Expr, j: int) -> list[str]:
        """The names in a bundle of node j, in order."""
        match bundle:
            case ast.Name(id=name):
                return [name]
            case ast.Index(base=ast.Name(id=self.family), indices=(ast.Number(text=text),)):
                return [self.family + text]
            case ast.Earlier(family=self.family):
                return [element_name(self.family, (i,)) for i in range(j)]
            case ast.Tuple(items=items):
                return [name for item in items for name in self._candidates(item, j)]
            case ast.Take(end=end, count=count, bundle=inner):
                names = self._candidates(inner, j)
                size = 1 if count is None else int(count.value) if isinstance(count, ast.Number) else len(names)
                return names[max(len(names) - size, 0) :] if end is ast.End.LAST else names[:size]
        return []

    def _reads(self, bundle: ast.Expr, nodes: bool) -> bool:
        """Whether a bundle has nodes, or sources."""
        names = {node.id for node in bundle.walk() if isinstance(node, ast.Name)}
        families = {node.family for node in bundle.walk() if isinstance(node, ast.Earlier)}
        elements = {name for name in names if (found := element_of(name)) is not None and found[0] == self.family}
        return bool(families | elements) if nodes else bool(names - elements)


def template_of(site: Site) -> Template | None:
    """The template that a definition of a space is, if it is one."""
    lines = [line for line in site.definition.body.lines if isinstance(line, ast.Binding)]
    families: dict[str, list[ast.Binding]] = {}
    for line in lines:
        element = element_of(line.target.name)
        if len(line.target.dims) == 1:
            families.setdefault(line.target.name, []).append(line)
        elif element is not None and not line.target.dims and element[1] == (len(families.get(element[0], ())),):
            families.setdefault(element[0], []).append(line)
    for family, found in families.items():
        if all(any(map(_is_searched, line.walk())) for line in found):
            bundles = [item.bundle for line in found for item in _applied(line)]
            names = {node.id for bundle in bundles for node in bundle.walk() if isinstance(node, ast.Name)}
            known = [param.name for param in site.definition.inputs] + [line.target.name for line in lines]
            sources = tuple(name for name in known if name in names and line_family(name) != family)
            return Template(site, family, tuple(found), sources) if sources else None
    return None


def line_family(name: str) -> str | None:
    """The family that a name is an element of, by its form."""
    element = element_of(name)
    return None if element is None else element[0]


def _is_sum(node: ast.Node) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum"


def _is_searched(node: ast.Node) -> bool:
    """Whether this is a sum of which a search finds something out: picks, or operations on each of several tensors."""
    return _is_sum(node) and any(isinstance(part, ast.Pick | ast.Each) for part in node.walk())


def _applied(line: ast.Binding) -> Iterator[_Application]:
    """The applications to sources in the sum of a line."""
    total = next((node for node in line.walk() if _is_searched(node)), None)
    for call in total.walk() if total is not None else ():
        if isinstance(call, ast.Call) and call is not total and call.args and call.args[0].name is None:
            first = call.args[0].value
            yield _Application(call.func, first.bundle if isinstance(first, ast.Each) else first, call.args[1:])
