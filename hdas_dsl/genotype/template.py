"""Frames: definitions of a space with a line of nodes that a genotype replaces.

In ``n[i < 4] = sum(pick 2 of Micro(each (x, y, earlier n)))`` a node is the sum of operations on x, y and earlier n. A
genotype puts lines of its own there (`fill`); `dag_of` reads the genotype from such lines. All other lines of the
definition are those of the space, so that an imported text lies in the space, and any other change is an error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import zip_longest

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .model import Dag, Edge

_HOLE = ast.Name("...")
"""Stands where the edges of a node are."""


@dataclass(frozen=True)
class Frame:
    """A definition of a space and its line of nodes.

    Attributes:
        definition: The cell or stage.
        line: Its line of nodes.
        sources: The names of the inputs, each with the other arguments of its edges.
        inner: The other arguments of an edge from another node.
    """

    definition: ast.GraphDef
    line: ast.Binding
    sources: tuple[tuple[str, tuple[ast.Arg, ...]], ...]
    inner: tuple[ast.Arg, ...]

    @property
    def family(self) -> str:
        """The name of the nodes, ``n`` in ``n[i < 4]``."""
        return self.line.target.name

    def source(self, position: int) -> str:
        """The name of a source."""
        if position < len(self.sources):
            return self.sources[position][0]
        return element_name(self.family, (position - len(self.sources),))

    def other_args(self, position: int) -> tuple[ast.Arg, ...]:
        """The arguments of an edge from a source besides the source itself: ``stride = 2``."""
        return self.sources[position][1] if position < len(self.sources) else self.inner


class Inexpressible(Exception):
    """A piece of a text that no genotype expresses; ``diagnostic`` names its place."""

    def __init__(self, span: Span, message: str) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(Code.KIND, span, f"no genotype expresses this: {message}")


def frame_of(definition: ast.GraphDef) -> Frame | None:
    """The frame that a definition of a space is, if it is one."""
    for line in definition.body.lines:
        if isinstance(line, ast.Binding) and len(line.target.dims) == 1:
            total = next((node for node in line.walk() if _is_sum(node)), None)
            if total is not None:
                return _frame(definition, line, total)
    return None


def _frame(definition: ast.GraphDef, line: ast.Binding, total: ast.Node) -> Frame | None:
    sources: list[tuple[str, tuple[ast.Arg, ...]]] = []
    inner: tuple[ast.Arg, ...] | None = None
    for call in total.walk():
        if not isinstance(call, ast.Call):
            continue
        more = tuple(arg for arg in call.args if not isinstance(arg.value, ast.Each))
        for arg in call.args:
            for node in arg.value.walk() if isinstance(arg.value, ast.Each) else ():
                if isinstance(node, ast.Name):
                    sources.append((node.id, more))
                elif isinstance(node, ast.Earlier):
                    inner = more
    return None if inner is None else Frame(definition, line, tuple(sources), inner)


def _is_sum(node: ast.Node) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum"


# ---------------------------------------------------------------- a genotype into the frame


def fill(frame: Frame, dag: Dag, label: int | None, names: Mapping[str, str]) -> ast.GraphDef:
    """The definition with the nodes of a genotype; ``names`` are the operations as they are called here."""
    lines: list[ast.BodyLine] = []
    for line in frame.definition.body.lines:
        if line is frame.line:
            lines += (_node(frame, j, node, names) for j, node in enumerate(dag.nodes))
        elif isinstance(line, ast.Output):
            lines.append(replace(line, value=_output(frame, line.value, dag)))
        elif not isinstance(line, ast.Preference | ast.Comment):
            lines.append(line)
    name = frame.definition.name
    copy = ast.CopyName.of(name if label is None else f"{name}@{label}")
    return replace(frame.definition, copy=copy, body=ast.Block(tuple(lines)), note=None)


def _node(frame: Frame, j: int, node: tuple[Edge, ...], names: Mapping[str, str]) -> ast.Binding:
    terms = [_term(frame, edge, names) for edge in node]
    total: ast.Expr = terms[0]
    for term in terms[1:]:
        total = ast.Binary("+", total, term)
    return _with(frame, j, total)


def _term(frame: Frame, edge: Edge, names: Mapping[str, str]) -> ast.Expr:
    source = ast.Arg(None, ast.Name(frame.source(edge.source)))
    return ast.Call(ast.Name(names[edge.op]), (source, *frame.other_args(edge.source)))


def _with(frame: Frame, j: int, total: ast.Expr) -> ast.Binding:
    """The line of node j, with this in place of the sum."""
    index = frame.line.target.dims[0].index

    def change(node: ast.Node) -> ast.Node:
        if _is_sum(node):
            return total
        return ast.Number(str(j)) if node == ast.Name(index) else node.mapped(change)

    target = ast.Target.of(element_name(frame.family, (j,)))
    return replace(frame.line.mapped(change), target=target, note=None)


def _usual(frame: Frame, value: ast.Expr, nodes: int) -> tuple[int, ...] | None:
    """The sources that the output of the space joins, of so many nodes."""
    first = len(frame.sources)
    for node in value.walk():
        match node:
            case ast.Take(end=ast.End.LAST, count=None, bundle=ast.Name(id=frame.family)):
                return (first + nodes - 1,)
            case ast.Take(end=ast.End.LAST, count=ast.Number() as count, bundle=ast.Name(id=frame.family)):
                return tuple(range(first + max(nodes - int(count.value), 0), first + nodes))
            case ast.Name(id=frame.family):
                return tuple(range(first, first + nodes))
    return None


def _output(frame: Frame, value: ast.Expr, dag: Dag) -> ast.Expr:
    if dag.concat == _usual(frame, value, len(dag.nodes)):
        return value
    args = tuple(ast.Arg(None, ast.Name(frame.source(position))) for position in dag.concat)
    return ast.Call(ast.Name("concat"), args)


# ---------------------------------------------------------------- and out of it


def dag_of(frame: Frame, definition: ast.GraphDef, names: Mapping[str, str]) -> Dag:
    """The genotype of a definition, which is the frame but for its nodes and its output.

    Raises:
        Inexpressible: a line of the definition is neither a node nor a line of the frame.
    """
    ours = [line for line in definition.body.lines if not isinstance(line, ast.Comment | ast.Preference)]
    rest = [line for line in frame.definition.body.lines if not isinstance(line, ast.Comment | ast.Preference)]
    title = str(definition.copy)
    nodes = [line for line in ours if is_node(frame, line)]
    ordered = [line for line in ours if line not in nodes]
    before = [line for line in rest if line is not frame.line]
    for line, expected in zip_longest(ordered, before):
        if isinstance(line, ast.Output) and isinstance(expected, ast.Output):
            continue
        if line is None or expected is None or replace(line, note=None) != replace(expected, note=None):
            where = definition.copy.span if line is None else line.span
            raise Inexpressible(where, f"this line of '{title}' is not one of '{frame.definition.name}' in the space")
    if not nodes:
        raise Inexpressible(definition.copy.span, f"'{title}' has no nodes of its own")
    read = tuple(tuple(_edges(frame, j, line, title, names)) for j, line in enumerate(nodes))
    output = next(line for line in ordered if isinstance(line, ast.Output))
    expected = next(line for line in before if isinstance(line, ast.Output))
    return Dag(read, tuple(_joined(frame, output.value, expected, len(read), title)))


def is_node(frame: Frame, line: ast.BodyLine) -> bool:
    """Whether a line is a node, by its name."""
    if not isinstance(line, ast.Binding):
        return False
    element = element_of(line.target.name)
    return line.target.name == frame.family or (element is not None and element[0] == frame.family)


def _edges(frame: Frame, j: int, line: ast.BodyLine, title: str, names: Mapping[str, str]) -> Iterator[Edge]:
    assert isinstance(line, ast.Binding)
    name = element_name(frame.family, (j,))
    if line.target != ast.Target.of(name):
        raise Inexpressible(
            line.span, f"'{title}' has {frame.family}0, {frame.family}1, ... one after the other, not this"
        )
    hole = _with(frame, j, _HOLE)
    total = _at_hole(hole, replace(line, note=None))
    if total is None:
        raise Inexpressible(line.span, f"'{title}.{name}' is not a sum of operations as in the space")
    for term in _terms(total):
        yield _edge(frame, j, term, f"{title}.{name}", names)


def _at_hole(pattern: ast.Node, node: ast.Node) -> ast.Node | None:
    """The part of a node that is at the place of the pattern's hole; None where the two differ elsewhere."""
    if pattern == _HOLE:
        return node
    inside = [(a, b) for a, b in zip(pattern.children(), node.children(), strict=False) if a != b]
    if len(inside) != 1 or type(pattern) is not type(node):
        return None
    found = _at_hole(*inside[0])
    if found is None:
        return None
    # The rest of the two nodes has to agree as well.
    return found if pattern.mapped(lambda part: inside[0][1] if part is inside[0][0] else part) == node else None


def _terms(total: ast.Node) -> Iterator[ast.Node]:
    if isinstance(total, ast.Binary) and total.op == "+":
        yield from _terms(total.left)
        yield total.right
    else:
        yield total


def _edge(frame: Frame, j: int, term: ast.Node, place: str, names: Mapping[str, str]) -> Edge:
    known = {frame.source(position): position for position in range(len(frame.sources) + j)}
    match term:
        case ast.Call(func=ast.Name(id=word), args=(ast.Arg(name=None, value=ast.Name(id=source)), *more)):
            if source not in known:
                raise Inexpressible(term.span, f"'{place}' reads '{source}', which is no input and no earlier node")
            if word not in names:
                raise Inexpressible(term.span, f"'{place}' applies '{word}', which is no operation of the space")
            if tuple(more) != frame.other_args(known[source]):
                raise Inexpressible(term.span, f"'{place}' gives '{word}' other parameters than the space does")
            return Edge(known[source], names[word], term.func.span)
    raise Inexpressible(term.span, f"'{place}' adds something other than an operation on one input or node")


def _joined(frame: Frame, value: ast.Expr, expected: ast.Output, nodes: int, title: str) -> Iterator[int]:
    usual = _usual(frame, expected.value, nodes)
    if value == expected.value and usual is not None:
        yield from usual
        return
    known = {frame.source(position): position for position in range(len(frame.sources) + nodes)}
    match value:
        case ast.Call(func=ast.Name(id="concat"), args=args):
            for arg in args:
                if not isinstance(arg.value, ast.Name) or arg.value.id not in known:
                    raise Inexpressible(
                        arg.span, f"the output of '{title}' joins something other than inputs and nodes"
                    )
                yield known[arg.value.id]
            return
    raise Inexpressible(value.span, f"the output of '{title}' is no concatenation")
