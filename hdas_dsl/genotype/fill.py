"""A genotype in a template: the definition of a space with its decisions made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from hdas_dsl.names import local_names
from hdas_dsl.tree import ast

from .inline import Inliner
from .model import Dag, Edge
from .space import IncompatiblePartsError
from .template import HOLE, Template

LineT = TypeVar("LineT", bound=ast.Node)

OperationOf = Callable[[int, Edge], ast.Expr]
"""The name of the operation of an edge of a node, in the new file."""


def fill(template: Template, dag: Dag, label: int | None, operation: OperationOf, inliner: Inliner) -> ast.GraphDef:
    """The definition with the nodes of a genotype.

    Args:
        template: the definition of the space.
        dag: the genotype.
        label: the number of the copy (``Normal@0``); None for the one that all share.
        operation: what the operations of its edges are called.
        inliner: what all else in the definition is called.

    Raises:
        IncompatiblePartsError: the genotype joins other nodes than the space, whose output is not a plain
            concatenation.
    """
    return _Filling(template, dag, operation, inliner).definition(label)


@dataclass(frozen=True)
class _Filling:
    template: Template
    dag: Dag
    operation: OperationOf
    inliner: Inliner

    @cached_property
    def local(self) -> frozenset[str]:
        return local_names(self.template.site.definition)

    def definition(self, label: int | None) -> ast.GraphDef:
        definition, instance = self.template.site.definition, self.template.site.instance
        lines: list[ast.BodyLine] = []
        joined = False
        for line in definition.body.lines:
            if any(line is node for node in self.template.lines):
                lines += self.nodes() if line is self.template.lines[0] else ()
            elif not isinstance(line, ast.Preference | ast.Comment | ast.Prune):
                made = self.inliner.line(line, instance, self.local)
                place = None if joined else self.place(made)
                if place is not None:
                    made, joined = _replaced(made, place, self.output(place)), True
                lines.append(made)
        if not joined:
            message = f"the output of '{definition.name}' is not a concatenation of its nodes, as that of a genotype is"
            raise IncompatiblePartsError(message)
        copy = ast.CopyName.of(definition.name if label is None else f"{definition.name}@{label}")
        head = self.inliner.line(replace(definition, body=ast.Block(())), instance, self.local)
        return replace(head, copy=copy, body=ast.Block(tuple(lines)), note=None)

    # ------------------------------------------------------------ nodes

    def nodes(self) -> list[ast.Binding]:
        """The lines of the nodes that exist; where the space prunes, of those that the output reaches."""
        kept = set(self.dag.existing)
        if any(isinstance(line, ast.Prune) for line in self.template.site.definition.body.lines):
            kept &= self.reached()
        return [self.node(j) for j in sorted(kept)]

    def reached(self) -> set[int]:
        first = len(self.template.sources)
        found = {source - first for source in self.dag.concat}
        for j in reversed(self.dag.existing):
            if j in found:
                found |= {edge.source - first for edge in self.dag.nodes[j]}
        return found

    def node(self, j: int) -> ast.Binding:
        terms = [self.term(j, edge) for edge in self.dag.nodes[j]]
        total: ast.Expr = terms[0]
        for term in terms[1:]:
            total = ast.Binary("+", total, term)
        line = self.inliner.line(self.template.line(j), self.template.site.instance, self.local)
        return _replaced(line, HOLE, total)

    def term(self, j: int, edge: Edge) -> ast.Expr:
        source = ast.Arg(None, ast.Name(self.template.source(edge.source)))
        instance = self.template.site.instance
        extra = (self.inliner.line(arg, instance, self.local) for arg in self.template.extra(j, edge.source))
        return ast.Call(self.operation(j, edge), (source, *extra))

    # ------------------------------------------------------------ the output

    def place(self, line: ast.Node) -> ast.Expr | None:
        """The expression that joins the nodes, where a line of its own does."""
        for node in line.walk():
            if isinstance(node, ast.Call | ast.Take) and joined_sources(node, self.template, self.dag) is not None:
                return node
        return None

    def output(self, place: ast.Expr) -> ast.Expr:
        """The concatenation of what the genotype joins, as the space writes it where that is the same."""
        if joined_sources(place, self.template, self.dag) == self.dag.concat:
            return place
        names = [ast.Name(self.template.source(source)) for source in self.dag.concat]
        if len(names) == 1 and isinstance(place, ast.Take):
            return names[0]
        return ast.Call(ast.Name("concat"), tuple(ast.Arg(None, name) for name in names))


def joined_sources(node: ast.Node, template: Template, dag: Dag) -> tuple[int, ...] | None:
    """The sources that ``concat(n)`` or ``last of n`` joins, of the nodes of a genotype; None for other expressions."""
    match node:
        case ast.Call(func=ast.Name(id="concat"), args=(ast.Arg(value=bundle),)):
            return _bundled(bundle, template, dag.existing)
        case ast.Take(count=None):
            return _bundled(node, template, dag.existing)
    return None


def _bundled(bundle: ast.Expr, template: Template, existing: Sequence[int]) -> tuple[int, ...] | None:
    numbers = tuple(len(template.sources) + j for j in existing)
    match bundle:
        case ast.Name(id=template.family):
            return numbers
        case ast.Take(end=end, count=None | ast.Number() as count, bundle=ast.Name(id=template.family)):
            size = 1 if count is None else int(count.value)
            return numbers[max(len(numbers) - size, 0) :] if end is ast.End.LAST else numbers[:size]
    return None


def _replaced(line: LineT, old: ast.Node, new: ast.Expr) -> LineT:
    """A line with an expression in place of another, which is found by its identity, or is the hole."""

    def change(node: ast.Node) -> ast.Node:
        return new if node is old or node == HOLE == old else node.mapped(change)

    return line.mapped(change)
