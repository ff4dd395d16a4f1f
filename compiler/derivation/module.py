"""The derived file: every definition that an architecture still needs, and nothing else.

Definitions of the shipped library are used, those of other files are inlined, so that the file compiles anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from compiler.elaborate import Copy, Elaborated, Frame
from compiler.elaborate.values import UNKNOWN, Bundle, Compose, Copies, Function, Menu, Partial, Tensor, Value
from compiler.ir.decision import DecisionKind, Selection
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open
from hdas_dsl.files import Entity, Instance, Namespace, Replacement, Unit
from hdas_dsl.names import is_element, local_names, mentions, replacements
from hdas_dsl.text.source import NOWHERE, Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import ELEMENT

from .presence import Presence, settle
from .residual import Residual


def derive_module(
    space: Elaborated,
    chosen: Selection,
    train: ast.Train | None = None,
    provenance: Iterable[ast.Setting] = (),
) -> ast.Module:
    """The architecture that decisions select, as a module of the language.

    Args:
        space: the elaborated space.
        chosen: item indices of every decision, by path.
        train: the `train` section to carry over; its target becomes the derived network.
        provenance: settings of the provenance section.

    Raises:
        HspError: the decisions of a text with `prune` leave nothing of it.
    """
    presence = settle(space, chosen)
    taken: frozenset[str] = frozenset()
    while True:
        builder = _Builder(space, presence, taken)
        module = builder.module(train, tuple(provenance))
        clashes = builder.clashes()
        if clashes <= taken:
            return module
        taken |= clashes


@dataclass
class _Builder:
    space: Elaborated
    presence: Presence
    aliased: frozenset[str]
    """Library files whose names clash with inlined definitions, so that they need an alias."""
    libraries: dict[object, tuple[str, Instance, str | None]] = field(default_factory=dict)
    inlined: dict[tuple[int, int], tuple[str, ast.Definition, Instance]] = field(default_factory=dict)
    done: dict[str, ast.TopLine] = field(default_factory=dict)

    # ------------------------------------------------------------ the file

    def module(self, train: ast.Train | None, provenance: tuple[ast.Setting, ...]) -> ast.Module:
        root = self.space.root
        network = self.network(root)
        self.collect()
        graphs: list[ast.TopLine] = []
        ops: list[ast.TopLine] = []
        for definition in self.needed(network):
            (graphs if isinstance(definition, ast.GraphDef) else ops).append(definition)
        graphs.sort(key=self.rank)
        lines: list[ast.TopLine] = [*self.uses()]
        for group in (ops, graphs, [network]):
            for position, line in enumerate(group):
                first = position == 0 and bool(lines)
                gap = first or isinstance(line, ast.GraphDef)
                lines += [*self.comments(line), replace(line, gap=gap)]
        if train is not None:
            target = train.target
            call = target if isinstance(target, ast.Call) else None
            name = ast.Name(network.name)
            lines.append(replace(train, target=ast.Call(name, call.args) if call else name, gap=True))
        if provenance:
            lines.append(ast.Provenance(provenance, gap=True))
        return ast.Module(tuple(lines))

    def rank(self, line: ast.TopLine) -> int:
        """Where a definition stands: in the order in which the space met its copies, inner ones first."""
        assert isinstance(line, ast.GraphDef)
        title = str(line.copy)
        paths = list(self.space.copies)
        names = [path.partition("@")[0] for path in paths]
        return paths.index(title) if title in paths else names.index(title) if title in names else len(paths)

    def comments(self, line: ast.TopLine) -> list[ast.TopLine]:
        return []

    def collect(self) -> None:
        """Inline what definitions and replacements so far mention, until nothing new comes up."""
        while True:
            self.uses()
            fresh = [key for key in self.inlined if self.inlined[key][0] not in self.done]
            if not fresh:
                return
            for key in fresh:
                title, definition, instance = self.inlined[key]
                self.done[title] = self.plain(title, definition, instance)

    def needed(self, network: ast.GraphDef) -> list[ast.TopLine]:
        """The inlined definitions that are mentioned, directly or not: some copies of the space are not."""
        kept: dict[str, ast.TopLine] = {}
        pending: list[ast.TopLine] = [network, *self.uses()]
        while pending:
            reader = pending.pop()
            for name, label in mentions(reader, {"fresh", *local_names(reader)}):
                for title, definition in self.done.items():
                    own, _, given = title.rpartition(".")[2].partition("@")
                    if own == name and label in (None, given or label) and title not in kept:
                        kept[title] = definition
                        pending.append(definition)
        return [definition for title, definition in self.done.items() if title in kept]

    def uses(self) -> list[ast.Use]:
        result = []
        for path, instance, alias in sorted(self.libraries.values(), key=lambda item: (item[0], item[2] or "")):
            bindings = []
            for name, replacement in sorted(replacements(instance).items()):
                value = self.renamed(replacement.value, replacement.instance, frozenset())
                bindings.append(ast.Binding(ast.Target.of(name), value))
            result.append(ast.Use(path, None if alias is None else ast.Ident(alias), tuple(bindings)))
        return result

    def clashes(self) -> frozenset[str]:
        """Library files that define a name which the derived file defines too, or another file that it uses."""
        titles = set(self.done) | {self.space.name}
        found: set[str] = set()
        seen: dict[str, object] = {}
        for key, (path, instance, _) in self.libraries.items():
            names = set(instance.unit.names)
            if names & {title.partition("@")[0] for title in titles}:
                found.add(path)
            for name in names:
                if seen.setdefault(name, key) != key:
                    found.add(path)
        return frozenset(found)

    # ------------------------------------------------------------ definitions

    def network(self, root: Copy) -> ast.GraphDef:
        """The network, with the values that it was elaborated with as defaults."""
        definition = root.definition
        params = []
        for param in definition.params:
            value = self.literal(self.space.arguments[param.name], NOWHERE)
            params.append(replace(param, default=value if value is not None else param.default))
        text = self.live(root) if root.live else self.verbatim(definition, root.instance)
        assert isinstance(text, ast.GraphDef)
        inputs = tuple(
            replace(param, shape=tuple(ast.Number(str(dim)) for dim in shape.dims))
            for param, shape in zip(definition.inputs, self.input_shapes(), strict=True)
        )
        return replace(text, copy=ast.CopyName.of(definition.name), inputs=inputs, params=tuple(params))

    def input_shapes(self) -> list[Shape]:
        graph = self.space.block.graph
        return [graph.node(index).shape for index in graph.inputs]

    def plain(self, title: str, definition: ast.Definition, instance: Instance) -> ast.TopLine:
        """A definition under its title: residual where it is a live copy, else as written."""
        if isinstance(definition, ast.GraphDef):
            copy = self.space.copies.get(title)
            made = self.live(copy) if copy is not None and copy.live else self.verbatim(definition, instance)
            assert isinstance(made, ast.GraphDef)
            return replace(made, copy=ast.CopyName.of(title))
        made = self.verbatim(definition, instance)
        assert not isinstance(made, ast.GraphDef)
        return replace(made, ident=ast.Ident(title))

    def verbatim(self, definition: ast.Definition, instance: Instance) -> ast.Definition:
        """A definition as written, with the names of other definitions as they are called here."""
        renamed = self.renamed_node(definition, instance, local_names(definition))
        assert isinstance(renamed, ast.OpDef | ast.MenuDef | ast.GraphDef)
        return renamed

    def live(self, copy: Copy) -> ast.GraphDef:
        """A copy with its decisions made."""
        lines: list[ast.BodyLine] = []
        names = local_names(copy.definition)
        for line in copy.definition.body.lines:
            lines += self.residual_lines(line, copy, names)
        if copy.text.prune:
            lines = reachable([line for line in lines if not isinstance(line, ast.Prune)])
        body = replace(copy.definition.body, lines=tuple(lines))
        head = self.renamed_node(replace(copy.definition, body=ast.Block(())), copy.instance, names)
        assert isinstance(head, ast.GraphDef)
        return replace(head, body=body)

    def residual_lines(self, line: ast.BodyLine, copy: Copy, names: frozenset[str]) -> list[ast.BodyLine]:
        frames = copy.text.traces.get(id(line), [])
        if isinstance(line, ast.Preference):
            return []
        if isinstance(line, ast.Binding) and line.target.dims:
            family = copy.text.families[line.target.name]
            if family.size is not None:
                frames = frames[: int(family.size.numbers[self.presence.chosen[family.size.path][0]])]
            if family.size is not None or copy.text.prune or any(frame.decided for frame in frames):
                indices = [frame.element[1] for frame in frames if frame.element is not None]
                there = [self.presence.exists(family.elements[index]) for index in indices]
                frames = [frame for frame, exists in zip(frames, there, strict=True) if exists]
                return [self.element(line, frame, position) for position, frame in enumerate(frames)]
        elif isinstance(line, ast.Binding) and not self.presence.exists(copy.text.bindings[line.target.name]):
            return []
        elif isinstance(line, ast.Binding | ast.Output) and any(
            frame.decided or any(map(self.presence.lacks, frame.seen.values())) for frame in frames
        ):
            if isinstance(line, ast.Binding):
                return [self.element(line, frames[0], None)]
            return [replace(line, value=self.residual({}).expr(line.value, frames[0]))]
        made = self.renamed_node(line, copy.instance, names)
        return [made]  # type: ignore[list-item]

    def element(self, line: ast.Binding, frame: Frame, position: int | None) -> ast.Binding:
        """A line of a family for one element, or a line of its own."""
        wheres = {name: binding for binding in line.where for name in binding.target.names}
        residual = self.residual(wheres)
        value = residual.expr(line.value, frame)
        kept = []
        for binding in line.where:
            if isinstance(frame.locals.get(binding.target.name), Tensor):
                kept.append(replace(binding, value=residual.expr(binding.value, frame)))
        used = {part.id for part in value.walk() if isinstance(part, ast.Name)}
        for binding in reversed(kept):
            if binding.target.name in used:
                used |= {part.id for part in binding.value.walk() if isinstance(part, ast.Name)}
        kept = [binding for binding in kept if binding.target.name in used]
        target = ast.Target.of(frame.name) if line.target.dims else line.target
        gap = line.gap and not position
        return replace(
            line, target=target, value=value, where=tuple(kept), gap=gap, note=line.note if not position else None
        )

    def residual(self, wheres: Mapping[str, ast.Binding]) -> Residual:
        kinds: dict[str, DecisionKind] = {path: d.kind for path, d in self.space.decisions.items()}
        return Residual(self.presence, kinds, wheres, self.rename_in, self.literal)

    def rename_in(self, name: str, frame: Frame) -> ast.Expr | None:
        """What a name is called in the derived file, if it is one of a module and not of the text."""
        first = name.partition(".")[0]
        text = frame.text
        if first in frame.locals:
            return None
        if not frame.foreign and (first in text.bindings or first in text.families or is_element(first, text.families)):
            return None
        return self.title_of(name, frame.instance)

    # ------------------------------------------------------------ names

    def title_of(self, name: str, instance: Instance) -> ast.Expr | None:
        """What a module-level name (``norm``, ``nb.Cell``) is called here; None where it keeps its name."""
        head, _, tail = name.partition(".")
        found = instance.lookup(head)
        if isinstance(found, Namespace):
            if not tail:
                return None
            found = found.instance.lookup(tail)
        elif tail:
            return None
        if isinstance(found, Replacement):
            return self.renamed(found.value, found.instance, frozenset())
        if not isinstance(found, Entity):
            return None
        definition = found.plain
        if definition is None:
            graphs = tuple(d for d in found.definitions if isinstance(d, ast.GraphDef))
            for graph in graphs:
                self.want(Function(graph, found.instance, str(graph.copy)))
            return ast.Name(found.name)
        return self.reference(definition, found.instance)

    def reference(self, definition: ast.Definition, instance: Instance) -> ast.Expr:
        """The name of a definition in the derived file, which will use or inline it."""
        unit = instance.unit
        if unit.path is not None and unit.prelude is None:
            return ast.Name(definition.name)
        if unit.shipped is not None:
            alias = self.library(unit, instance, unit.shipped)
            name = ast.Name(definition.name)
            return name if alias is None else ast.Field(ast.Name(alias), ast.Ident(definition.name))
        if isinstance(definition, ast.GraphDef):
            return self.want(Function(definition, instance))
        key = (id(definition), id(instance))
        if key not in self.inlined:
            taken = {title for title, _, _ in self.inlined.values()}
            title, number = definition.name, 2
            while title in taken:
                title, number = f"{definition.name}_{number}", number + 1
            self.inlined[key] = (title, definition, instance)
        return ast.Name(self.inlined[key][0])

    def library(self, unit: Unit, instance: Instance, path: str) -> str | None:
        """Note the use of a library file; the alias it needs, if any."""
        key = (path, tuple(sorted((name, r.key) for name, r in replacements(instance).items())))
        if key not in self.libraries:
            same = [alias for p, _, alias in self.libraries.values() if p == path]
            stem = path.rpartition("/")[2].removesuffix(".hsp")
            alias = None if not same and path not in self.aliased else stem + (f"_{len(same) + 1}" if same else "_ops")
            self.libraries[key] = (path, instance, alias)
        return self.libraries[key][2]

    def want(self, function: Function) -> ast.Expr:
        """A cell, stage or network by its title; every copy that has choices is inlined, or else the definition."""
        name = self.title(function)
        paths = [
            copy
            for copy in self.space.copies.values()
            if copy.definition is function.definition and copy.instance is function.instance and not copy.text.root
        ]
        live = [copy for copy in paths if copy.live]
        for copy in live:
            self.inlined.setdefault((id(copy), 0), (copy.path, copy.definition, copy.instance))
        if not live:
            label = str(function.definition.copy) if "@" in str(function.definition.copy) else name  # type: ignore[union-attr]
            key = (id(function.definition), id(function.instance))
            self.inlined.setdefault(key, (label, function.definition, function.instance))
        return ast.Name(name)

    def title(self, function: Function) -> str:
        """The bare name of a definition in the paths of the space."""
        for copy in self.space.copies.values():
            if copy.definition is function.definition and copy.instance is function.instance:
                return copy.path.rpartition(".")[2].partition("@")[0]
        return function.name

    def renamed(self, expr: ast.Expr, instance: Instance, names: frozenset[str]) -> ast.Expr:
        return self.renamed_node(expr, instance, names)  # type: ignore[return-value]

    def renamed_node(self, node: ast.Node, instance: Instance, names: frozenset[str]) -> ast.Node:
        """A node with module-level names as they are called here; ``names`` are local."""
        match node:
            case ast.Name():
                return node if node.id in names else self.title_of(node.id, instance) or node
            case ast.Field(base=ast.Name(id=base)) if base not in names:
                made = self.title_of(f"{base}.{node.name}", instance)
                if made is not None:
                    return made
            case ast.Copy():
                name = self.renamed(node.base, instance, names)
                label = node.label if isinstance(node.label, ast.Name) else self.renamed(node.label, instance, names)
                return node if name is node.base and label is node.label else replace(node, base=name, label=label)
        return node.mapped(lambda child: self.renamed_node(child, instance, names))

    # ------------------------------------------------------------ values

    def literal(self, value: Value, span: Span) -> ast.Expr | None:
        """A value written down; None where the language has no literal for it."""
        match value:
            case bool():
                return ast.Name("true" if value else "false")
            case int() | float():
                if value < 0:
                    return ast.Unary("-", ast.Number(_digits(-value)))
                return ast.Number(_digits(value))
            case str():
                return ast.String(value)
            case Bundle(items=items):
                parts = [self.literal(item, span) for item in items]
                return ast.Tuple(tuple(p for p in parts if p is not None)) if all(parts) and len(parts) != 1 else None
            case Function(definition=definition, instance=instance, label=label):
                name = self.reference(definition, instance)
                if label is None:
                    return name
                last = label.rpartition("@")[2]
                return ast.Copy(name, ast.Number(last) if last.isdigit() else ast.Name(last))
            case Copies(name=name, definitions=definitions, instance=instance):
                for graph in definitions:
                    self.want(Function(graph, instance, str(graph.copy)))
                return ast.Name(name)
            case Menu(definition=menu, instance=instance, args=()):
                return self.reference(menu, instance)
            case Partial(function=inner, positional=positional, named=named):
                function = self.literal(inner, span)
                args = [ast.Arg(None, self.literal(v, span) or ast.Name("?")) for v in positional]
                args += [ast.Arg(ast.Ident(key), self.literal(v, span) or ast.Name("?")) for key, v in named]
                return None if function is None else ast.Call(function, tuple(args))
            case Compose(stages=stages):
                made = [self.literal(stage, span) for stage in stages]
                return ast.Pipe(tuple(m for m in made if m is not None)) if all(made) else None
        if isinstance(value, Open):
            return ast.Name("open")
        assert value is not UNKNOWN
        return None


def reachable(lines: list[ast.BodyLine]) -> list[ast.BodyLine]:
    """The lines that the output needs."""
    needed: set[str] = set()
    kept: list[ast.BodyLine] = []
    for line in reversed(lines):
        if isinstance(line, ast.Binding) and not needed & _defined(line):
            continue
        kept.append(line)
        needed |= {node.id for node in line.walk() if isinstance(node, ast.Name)}
        needed |= {node.family for node in line.walk() if isinstance(node, ast.Earlier)}
    return kept[::-1]


def _defined(line: ast.Binding) -> set[str]:
    names = set(line.target.names)
    for name in line.target.names:
        if match := ELEMENT.fullmatch(name):
            names.add(match[1])
    return names


def _digits(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}" if float(f"{value:g}") == value else repr(value)
