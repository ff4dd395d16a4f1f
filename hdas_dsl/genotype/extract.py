"""Extraction of the genotype of a definition without choices: the inverse of `.fill`.

A node is a line ``n0 = op(x) + op(y)`` of the family that has most elements. The sources of the nodes are the tensors
that stand before them and that nothing else before them reads: the inputs, or what a cell makes of them. The rest of
the definition is not part of a genotype; an import takes it from the space.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TypeVar

from hdas_dsl.text.diagnostics import Code, DiagnosticError
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .model import Dag, Edge
from .template import HOLE, Template


class InexpressibleError(DiagnosticError):
    """A piece of a text that no genotype expresses; ``diagnostic`` names its place."""

    def __init__(self, span: Span, message: str) -> None:
        super().__init__(Code.KIND, span, f"no genotype expresses this: {message}")


LineT = TypeVar("LineT", bound=ast.Node)


@dataclass(frozen=True)
class Extract:
    """A genotype and the rest of its definition.

    ``extras`` are the further arguments of the edges from each source, ``stride = 2``; those of edges from nodes are at
    the number of the first node. ``rest`` are the lines that are not nodes, with a hole where the nodes are joined;
    ``node`` is the first node, with a hole in place of its sum.
    """

    dag: Dag
    sources: tuple[str, ...]
    extras: Mapping[int, tuple[ast.Arg, ...]]
    rest: tuple[ast.BodyLine, ...]
    node: ast.Binding


def extract(definition: ast.GraphDef, tensors: Set[str], word: Callable[[ast.Expr], str | None]) -> Extract:
    """The genotype of a definition.

    Args:
        definition: a cell or a stage without choices.
        tensors: the names of its inputs and lines that are tensors.
        word: the name of an operation in genotypes; None for an expression that is not an operation.

    Raises:
        InexpressibleError: no genotype expresses it.
    """
    return _Extraction(definition, tensors, word).made()


class _Extraction:
    def __init__(self, definition: ast.GraphDef, tensors: Set[str], word: Callable[[ast.Expr], str | None]) -> None:
        self.definition = definition
        self.word = word
        self.title = str(definition.copy)
        self.lines = [line for line in definition.body.lines if not isinstance(line, ast.Comment | ast.Preference)]
        self.nodes = self.family_lines()
        self.family = (element_of(self.nodes[0].target.name) or ("", ()))[0]
        self.numbers = [(element_of(line.target.name) or ("", (0,)))[1][0] for line in self.nodes]
        self.head = self.lines[: self.lines.index(self.nodes[0])]
        self.sources = self.source_names(tensors)
        names = [element_name(self.family, (j,)) for j in self.numbers]
        self.positions = {name: position for position, name in enumerate(self.sources)}
        self.positions |= {name: len(self.sources) + j for name, j in zip(names, self.numbers, strict=True)}
        self.extras: dict[int, tuple[ast.Arg, ...]] = {}

    def made(self) -> Extract:
        edges: dict[int, tuple[Edge, ...]] = {}
        patterns: list[ast.Binding] = []
        for j, line in zip(self.numbers, self.nodes, strict=True):
            pattern, edges[j] = self.node(j, line)
            patterns.append(pattern)
            if pattern != patterns[0] and _numberless(pattern, j) != _numberless(patterns[0], self.numbers[0]):
                message = f"'{self.title}.{line.target.name}' is not like the nodes before it"
                raise InexpressibleError(line.span, message)
        nodes = tuple(edges.get(j, ()) for j in range(self.numbers[-1] + 1))
        rest, concat = self.output()
        return Extract(Dag(nodes, concat), tuple(self.sources), self.extras, rest, patterns[0])

    # ------------------------------------------------------------ lines

    def family_lines(self) -> list[ast.Binding]:
        """The lines of the nodes, which have to follow one another."""
        families: dict[str, list[ast.Binding]] = {}
        for line in self.lines:
            found = element_of(line.target.name) if isinstance(line, ast.Binding) and not line.target.dims else None
            if found is not None and isinstance(line, ast.Binding) and len(found[1]) == 1:
                families.setdefault(found[0], []).append(line)
        if not families:
            raise InexpressibleError(self.definition.copy.span, f"'{self.title}' has no nodes of its own")
        nodes = max(families.values(), key=len)
        numbers = [(element_of(line.target.name) or ("", ()))[1] for line in nodes]
        for line, number, before in zip(nodes[1:], numbers[1:], numbers, strict=False):
            if number <= before:
                family = (element_of(line.target.name) or ("", ()))[0]
                message = f"'{self.title}' has {family}0, {family}1, ... one after the other, not this"
                raise InexpressibleError(line.span, message)
        start, end = self.lines.index(nodes[0]), self.lines.index(nodes[-1])
        for line in self.lines[start:end]:
            if not any(line is node for node in nodes):
                raise InexpressibleError(line.span, f"this line of '{self.title}' stands between its nodes")
        return nodes

    def source_names(self, tensors: Set[str]) -> list[str]:
        bindings = [line for line in self.head if isinstance(line, ast.Binding)]
        read = {node.id for line in bindings for node in line.walk() if isinstance(node, ast.Name)}
        known = [param.name for param in self.definition.inputs] + [line.target.name for line in bindings]
        found = [name for name in known if name in tensors and name not in read]
        if not found:
            raise InexpressibleError(
                self.definition.copy.span, f"'{self.title}' has no tensor that its nodes read first"
            )
        return found

    # ------------------------------------------------------------ nodes

    def node(self, j: int, line: ast.Binding) -> tuple[ast.Binding, tuple[Edge, ...]]:
        """A node with a hole in place of its sum, and the edges of the sum."""
        place = f"{self.title}.{line.target.name}"
        total = next((node for node in line.walk() if self.is_sum(node)), None)
        if total is None:
            raise InexpressibleError(line.span, f"'{place}' is not a sum of operations on inputs and earlier nodes")
        edges = tuple(self.edge(j, term, place) for term in terms_of(total))

        return replace(_with_hole(line, total), target=ast.Target.of(self.family), note=None), edges

    def is_sum(self, node: ast.Node) -> bool:
        """Whether a node of the tree is an edge, or a sum with an edge in it."""
        if isinstance(node, ast.Binary) and node.op == "+":
            return any(map(self.is_edge, terms_of(node)))
        return self.is_edge(node)

    def is_edge(self, node: ast.Node) -> bool:
        """Whether a node of the tree has the form of an operation on a source or a node."""
        match node:
            case ast.Call(args=(ast.Arg(name=None, value=ast.Name(id=name)), *_)):
                return name in self.positions
        return False

    def edge(self, j: int, term: ast.Node, place: str) -> Edge:
        match term:
            case ast.Call(func=func, args=(ast.Arg(name=None, value=ast.Name(id=name)), *more)):
                position = self.positions.get(name)
                if position is None or position >= len(self.sources) + j:
                    raise InexpressibleError(
                        term.span, f"'{place}' reads '{name}', which is neither an input nor an earlier node"
                    )
                word = self.word(func)
                if word is None:
                    raise InexpressibleError(
                        term.span, f"'{place}' applies '{func.span.text}', which is not an operation of the space"
                    )
                key = position if position < len(self.sources) else len(self.sources)
                if self.extras.setdefault(key, tuple(more)) != tuple(more):
                    raise InexpressibleError(
                        term.span, f"'{place}' gives '{word}' other parameters than the edges before it"
                    )
                return Edge(position, word, func.span)
        raise InexpressibleError(term.span, f"'{place}' adds something other than an operation on one input or node")

    # ------------------------------------------------------------ the output

    def output(self) -> tuple[tuple[ast.BodyLine, ...], tuple[int, ...]]:
        """The lines that are not nodes, with a hole where nodes are joined, and the sources that are."""
        rest: list[ast.BodyLine] = [*self.head]
        concat: tuple[int, ...] | None = None
        for line in self.lines[self.lines.index(self.nodes[-1]) + 1 :]:
            joined = None if concat is not None else self.place(line)
            if joined is not None:
                concat = tuple(self.joined(joined))
                line = _with_hole(line, joined)
            rest.append(line)
        if concat is None:
            output = next((line for line in self.lines if isinstance(line, ast.Output)), None)
            span = self.definition.copy.span if output is None else output.value.span
            raise InexpressibleError(span, f"the output of '{self.title}' is not a concatenation")
        return tuple(rest), concat

    def place(self, line: ast.Node) -> ast.Node | None:
        """The expression that joins nodes: ``concat(...)``, ``last of n``, or the one node that is the output."""
        for node in line.walk():
            match node:
                case ast.Call(func=ast.Name(id="concat"), args=args) if any(self.names(arg.value) for arg in args):
                    return node
                case ast.Take(count=None) if self.names(node):
                    return node
        match line:
            case ast.Output(value=ast.Name(id=name) as value) if name in self.positions:
                return value
        return None

    def joined(self, place: ast.Node) -> Iterator[int]:
        parts = [arg.value for arg in place.args] if isinstance(place, ast.Call) else [place]
        for part in parts:
            names = self.names(part)
            if not names:
                message = f"the output of '{self.title}' joins something other than inputs and nodes"
                raise InexpressibleError(part.span, message)
            yield from (self.positions[name] for name in names)

    def names(self, value: ast.Node) -> Sequence[str]:
        """The sources and nodes that an expression stands for."""
        nodes = [element_name(self.family, (j,)) for j in self.numbers]
        match value:
            case ast.Name(id=self.family):
                return nodes
            case ast.Name(id=name) if name in self.positions:
                return [name]
            case ast.Take(end=end, count=None | ast.Number() as count, bundle=inner):
                names = self.names(inner)
                size = 1 if count is None else int(count.value)
                return names[max(len(names) - size, 0) :] if end is ast.End.LAST else names[:size]
            case ast.Tuple(items=items):
                return [name for item in items for name in self.names(item)]
        return []


def _with_hole(line: LineT, place: ast.Node) -> LineT:
    def change(node: ast.Node) -> ast.Node:
        return HOLE if node is place else node.mapped(change)

    return line.mapped(change)


def _numberless(line: ast.Binding, j: int) -> ast.Binding:
    """The line of a node with a name in place of its number."""

    def change(node: ast.Node) -> ast.Node:
        return ast.Name("i") if node == ast.Number(str(j)) else node.mapped(change)

    return line.mapped(change)


def terms_of(total: ast.Node) -> Iterator[ast.Node]:
    """The terms of a sum ``a + b + c``, in order; any other node is its only term."""
    if isinstance(total, ast.Binary) and total.op == "+":
        yield from terms_of(total.left)
        yield total.right
    else:
        yield total


# ---------------------------------------------------------------- what a genotype leaves to the space


def difference(found: Extract, definition: ast.GraphDef, template: Template) -> InexpressibleError | None:
    """The first difference of a definition from the template of a space, its edges apart; None without one."""
    title, name = str(definition.copy), template.site.definition.name
    expected: list[ast.BodyLine] = []
    for line in template.site.definition.body.lines:
        of_node = any(line is node for node in template.lines)
        if not of_node and not isinstance(line, ast.Comment | ast.Preference | ast.Prune):
            expected.append(line)
    holes = [line for line in found.rest if HOLE in line.walk()]
    for line, wanted in zip_longest(found.rest, expected):
        if line is None or wanted is None or not _like(line, wanted, line in holes):
            span = definition.copy.span if line is None else line.span
            return InexpressibleError(span, f"this line of '{title}' is not one of '{name}' in the space")
    first = found.dag.existing[0]
    like = replace(template.line(first), target=found.node.target)
    if found.sources != template.sources or like != found.node:
        return InexpressibleError(
            found.node.span, f"the nodes of '{title}' are not like those of '{name}' in the space"
        )
    for j, node in enumerate(found.dag.nodes):
        for edge in node:
            key = min(edge.source, len(found.sources))
            if found.extras[key] != template.extra(j, edge.source):
                message = f"'{title}' gives '{edge.op}' other parameters than the space does"
                return InexpressibleError(edge.span, message)
    return None


def _like(line: ast.BodyLine, wanted: ast.BodyLine, joins: bool) -> bool:
    """Whether a line equals that of a space, up to the expression that joins nodes where the line ``joins`` them."""
    if not joins:
        return replace(line, note=None) == replace(wanted, note=None)
    places = (node for node in wanted.walk() if isinstance(node, ast.Call | ast.Take))
    return any(replace(_with_hole(wanted, place), note=None) == replace(line, note=None) for place in places)
