"""Genotypes of benchmarks whose choices are not sums of edges: vertices of NAS-Bench-101, widths of NATS-Bench."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from hdas_dsl.names import local_names
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .extract import terms_of
from .inline import Inliner, Site
from .menu import Operation, offered
from .model import Matrix, Vertex, Widths
from .space import IncompatiblePartsError

# ---------------------------------------------------------------- NAS-Bench-101


@dataclass(frozen=True)
class VertexTemplate:
    """A cell whose nodes are operations on sums: ``n[i < 5] = Op(sum(from)) where from = pick any of (A, B)``.

    ``entry`` is how a node reads the input of the cell, ``inner`` how it reads another node.
    """

    site: Site
    line: ast.Binding
    menu: ast.Expr
    room: int
    entry: ast.Expr
    inner: ast.Call

    @property
    def family(self) -> str:
        """The name that the nodes share."""
        return self.line.target.name

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The operations that the space offers a node, by name."""
        return offered(self.menu, self.site.instance, self.site.defaults)


def vertex_template(site: Site) -> VertexTemplate | None:
    """The template that a definition of a space is, if it is one."""
    for line in site.definition.body.lines:
        match line:
            case ast.Binding(
                target=ast.Target(dims=(ast.Dim(size=ast.Number() as size),)),
                value=ast.Call(func=menu, args=(ast.Arg(value=ast.Call(func=ast.Name(id="sum"))),)),
                where=(ast.Binding(value=ast.Pick(count=None, bundle=ast.Tuple(items=(entry, ast.Call() as inner)))),),
            ):
                return VertexTemplate(site, line, menu, int(size.value), entry, inner)
    return None


def fill_vertices(
    template: VertexTemplate, matrix: Matrix, operation: Callable[[Vertex], ast.Expr], inliner: Inliner
) -> ast.GraphDef:
    """The cell of an adjacency matrix.

    Raises:
        IncompatiblePartsError: it has more vertices than the space has nodes.
    """
    definition, instance = template.site.definition, template.site.instance
    if len(matrix.vertices) > template.room:
        count = len(matrix.vertices)
        raise IncompatiblePartsError(
            f"the cell has {count} operations, and '{definition.name}' has room for {template.room}"
        )
    local = local_names(definition)
    lines: list[ast.BodyLine] = []
    gone: set[str] = set()
    for line in definition.body.lines:
        if line is template.line:
            lines += (_vertex(template, k, vertex, operation, inliner) for k, vertex in enumerate(matrix.vertices))
        elif not isinstance(line, ast.Preference | ast.Comment | ast.Prune):
            made = _picked(template, inliner.line(line, instance, local), matrix)
            if made is None and isinstance(line, ast.Binding):
                gone.add(line.target.name)
            elif made is not None:
                lines.append(_without(made, gone))
    head = inliner.line(replace(definition, body=ast.Block(())), instance, local)
    return replace(head, body=ast.Block(tuple(lines)), note=None)


def _vertex(
    template: VertexTemplate, k: int, vertex: Vertex, operation: Callable[[Vertex], ast.Expr], inliner: Inliner
) -> ast.Binding:
    instance, local = template.site.instance, local_names(template.site.definition)

    def read(source: int) -> ast.Expr:
        if source == 0:
            return inliner.expr(template.entry, instance, local)
        node = ast.Arg(None, ast.Name(element_name(template.family, (source - 1,))))
        return replace(inliner.line(template.inner, instance, local), args=(node, *template.inner.args[1:]))

    terms = [read(source) for source in vertex.sources]
    total = terms[0]
    for term in terms[1:]:
        total = ast.Binary("+", total, term)
    target = ast.Target.of(element_name(template.family, (k,)))
    return ast.Binding(target, ast.Call(operation(vertex), (ast.Arg(None, total),)))


def _picked(template: VertexTemplate, line: ast.BodyLine, matrix: Matrix) -> ast.BodyLine | None:
    """A line with its pick made; None where it takes nothing."""
    pick = next((node for node in line.walk() if isinstance(node, ast.Pick)), None)
    if pick is None:
        return line
    chosen: list[ast.Expr] = [pick.bundle] if 0 in matrix.output else []
    if pick.bundle == ast.Name(template.family):
        joined = (source - 1 for source in matrix.output if source > 0)
        chosen = [ast.Name(element_name(template.family, (k,))) for k in joined]
    if not chosen:
        return None

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call):
            args = [_spread(arg, pick, chosen) for arg in node.args]
            node = replace(node, args=tuple(arg for group in args for arg in group))
        return chosen[0] if node is pick else node.mapped(change)

    return line.mapped(change)


def _spread(arg: ast.Arg, pick: ast.Pick, chosen: list[ast.Expr]) -> Iterator[ast.Arg]:
    if arg.value is pick:
        yield from (ast.Arg(None, value) for value in chosen)
    else:
        yield arg


def _without(line: ast.BodyLine, gone: set[str]) -> ast.BodyLine:
    """A line whose sums leave out names; a sum of one is that."""

    def change(node: ast.Node) -> ast.Node:
        if isinstance(node, ast.Call) and node.func == ast.Name("sum"):
            args = [arg for arg in node.args if not (isinstance(arg.value, ast.Name) and arg.value.id in gone)]
            if len(args) == 1 != len(node.args):
                return args[0].value
            node = replace(node, args=tuple(args))
        return node.mapped(change)

    return line.mapped(change) if gone else line


def read_vertices(template: VertexTemplate, definition: ast.GraphDef, words: Mapping[str, str]) -> Matrix | None:
    """The matrix of a cell without choices, if it is one of the template; the way back of `fill_vertices`.

    ``words`` are what genotypes call the operations.
    """
    numbers: dict[str, int] = {}
    vertices: list[Vertex] = []
    output: list[int] = []
    picks = [node for node in template.site.definition.walk() if isinstance(node, ast.Pick)]
    for line in definition.body.lines:
        element = element_of(line.target.name) if isinstance(line, ast.Binding) else None
        if isinstance(line, ast.Binding) and element is not None and element[0] == template.family:
            match line.value:
                case ast.Call(func=ast.Name(id=op), args=(ast.Arg(value=total),)) if op in words:
                    read = [_source(template, term, numbers) for term in terms_of(total)]
                    sources = sorted(source for source in read if source is not None)
                    if len(sources) < len(read):
                        return None
                    vertices.append(Vertex(words[op], tuple(sources)))
                    numbers[line.target.name] = len(vertices)
                case _:
                    return None
        elif isinstance(line, ast.Binding) and any(line.value == pick.bundle for pick in picks):
            output.append(0)
        elif isinstance(line, ast.Binding):
            output += [numbers[node.id] for node in line.walk() if isinstance(node, ast.Name) and node.id in numbers]
    return Matrix(tuple(vertices), tuple(sorted(output)))


def _source(template: VertexTemplate, term: ast.Node, numbers: Mapping[str, int]) -> int | None:
    """The vertex that a term of a vertex reads."""
    if term == template.entry:
        return 0
    match term:
        case ast.Call(func=func, args=(ast.Arg(value=ast.Name(id=name)), *_)) if func == template.inner.func:
            return numbers.get(name)
    return None


# ---------------------------------------------------------------- NATS-Bench


def fill_widths(site: Site, widths: Widths, name: str) -> ast.GraphDef:
    """The network with the widths of its parts.

    Args:
        site: the network of the space.
        widths: the genotype.
        name: how messages call the space.

    Raises:
        IncompatiblePartsError: the network has no choice of widths.
        HspError: it does not offer one of them.
    """
    choice, line = next(_choices(site), (None, None))
    if choice is None or line is None:
        raise IncompatiblePartsError(f"the network of {name} has no choice of widths")
    size = line.target.dims[0].size
    if size != ast.Number(str(len(widths.widths))):
        raise IncompatiblePartsError(f"{name} does not have {len(widths.widths)} widths, as the genotype has")
    numbers = _numbers(choice)
    wrong = [width for width in widths.widths if width not in numbers]
    if wrong:
        message = f"{name} has no width of {wrong[0]}: it has {', '.join(map(str, numbers))}"
        raise HspError([Diagnostic(Code.RANGE, widths.span, message)])
    made = [
        ast.Binding(ast.Target.of(element_name(line.target.name, (i,))), ast.Number(str(width)))
        for i, width in enumerate(widths.widths)
    ]
    parts = ([part] if part is not line else made for part in site.definition.body.lines)
    return replace(site.definition, body=ast.Block(tuple(part for group in parts for part in group)))


def _choices(site: Site) -> Iterator[tuple[ast.Choice, ast.Binding]]:
    """The families of a network that are choices of numbers."""
    for line in site.definition.body.lines:
        match line:
            case ast.Binding(target=ast.Target(dims=(_,)), value=ast.Choice() as choice) if _numbers(choice):
                yield choice, line


def _numbers(choice: ast.Choice) -> list[int]:
    """The numbers of ``8 | 16 | .. | 64``."""
    found: list[int] = []
    for position, item in enumerate(choice.items):
        if isinstance(item.value, ast.Number):
            found.append(int(item.value.value))
        elif isinstance(item.value, ast.Dots) and len(found) > 1 and position + 1 < len(choice.items):
            last = choice.items[position + 1].value
            if isinstance(last, ast.Number):
                found += range(2 * found[-1] - found[-2], int(last.value), found[-1] - found[-2])
    return found


def read_widths(site: Site, definition: ast.GraphDef) -> Widths | None:
    """The widths of a network without choices, if its space has such; the way back of `fill_widths`."""
    choice, line = next(_choices(site), (None, None))
    if choice is None or line is None:
        return None
    family = line.target.name
    values: list[int] = []
    for part in definition.body.lines:
        match part:
            case ast.Binding(value=ast.Number() as value) if part.target.name == element_name(family, (len(values),)):
                values.append(int(value.value))
    return Widths(tuple(values)) if values else None
