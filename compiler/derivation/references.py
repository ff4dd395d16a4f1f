"""Names of the definitions that an architecture needs, in its file, which uses or inlines them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import count, islice

from compiler.elaborate import Elaborated
from compiler.elaborate.values import Function
from compiler.ir.graph import Call
from hdas_dsl.names import full_name, hidden_names, name_of_copy, replacements
from hdas_dsl.sameness import Definition, equal_up_to_names
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance, Namespace, Replacement


@dataclass(frozen=True, eq=False)
class Library:
    """A file of the shipped library that the derived file uses, under an alias where it needs one."""

    path: str
    instance: Instance
    alias: str | None


@dataclass(frozen=True, eq=False)
class Inlined:
    """A definition that the derived file writes down itself, under a title."""

    title: str
    definition: ast.Definition
    instance: Instance


class References:
    """Names definitions as the derived file does, and notes which of them it has to use or to inline.

    Args:
        space: the space that the architecture is of.
        aliased: library files whose names clash with inlined definitions, so that they need an alias.
        avoided: names that no inlined operation may have, since the file means something else by them.

    Attributes:
        primitives: the primitives that the file mentions.
    """

    def __init__(self, space: Elaborated, aliased: frozenset[str], avoided: frozenset[str]) -> None:
        self.space = space
        self.aliased = aliased
        self.avoided = avoided
        self.primitives: set[str] = set()
        self.libraries: dict[Hashable, Library] = {}
        self.inlined: dict[Hashable, Inlined] = {}

    # ------------------------------------------------------------ names of the text

    def title_of(self, name: str, instance: Instance) -> ast.Expr | None:
        """The name of a module-level definition (``norm``, ``nb.Cell``) here; None where it keeps its own."""
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
        return self.entity(found) if isinstance(found, Entity) else None

    def entity(self, found: Entity) -> ast.Expr:
        """The name of definitions in the derived file, which will use or inline them."""
        definition = found.plain
        if definition is None:
            graphs = tuple(d for d in found.definitions if isinstance(d, ast.GraphDef))
            for graph in graphs:
                self.copies_of(Function(graph, found.instance, str(graph.copy)))
            return ast.Name(found.name)
        return self.reference(definition, found.instance)

    def renamed(self, expr: ast.Expr, instance: Instance, names: frozenset[str]) -> ast.Expr:
        """An expression with module-level names as they are called here; ``names`` are local."""
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

    # ------------------------------------------------------------ definitions

    def reference(self, definition: ast.Definition, instance: Instance) -> ast.Expr:
        """The name of a definition in the derived file, which will use or inline it."""
        unit = instance.unit
        if unit.path is not None and unit.prelude is None:
            self.primitives.add(definition.name)
            return ast.Name(definition.name)
        if unit.shipped is not None:
            alias = self._alias(instance, unit.shipped)
            name = ast.Name(definition.name)
            return name if alias is None else ast.Field(ast.Name(alias), ast.Ident(definition.name))
        if isinstance(definition, ast.GraphDef):
            return self.copies_of(Function(definition, instance))
        key = instance, full_name(definition)
        if key not in self.inlined:
            self.inlined[key] = self._same(definition, instance) or self._new(definition, instance)
        return ast.Name(self.inlined[key].title)

    def _same(self, definition: ast.Definition, instance: Instance) -> Inlined | None:
        """An equal definition that is inlined already: a phase brings definitions that this file has too."""
        for inlined in self.inlined.values():
            like = inlined.definition
            if like.name == definition.name and equal_up_to_names((like, inlined.instance), (definition, instance)):
                return inlined
        return None

    def _new(self, definition: ast.Definition, instance: Instance) -> Inlined:
        """A definition under its own name, numbered where another one has that, a copy of the space, or a line.

        Numbers are those of the space, so that all its architectures call a definition the same.
        """
        reserved = self.avoided | {name_of_copy(path) for path in self.space.copies}
        _, *others = self.space.root.instance.unit.all_used()
        if instance.unit in others:
            reserved |= self.space.once(_hidden)
        known = self.space.once(_operations).get(definition.name, [])
        before = next(
            (i for i, like in enumerate(known) if equal_up_to_names(like, (definition, instance))), len(known)
        )
        taken = {inlined.title for inlined in self.inlined.values()}
        titles = (definition.name if n == 1 else f"{definition.name}_{n}" for n in count(1))
        free = islice((title for title in titles if title not in reserved), before, None)
        return Inlined(next(title for title in free if title not in taken), definition, instance)

    def copies_of(self, function: Function) -> ast.Expr:
        """A cell, stage or network by its title.

        Where a copy has choices every copy is inlined, else the definition: the text of one copy does not say another.
        """
        name = self._title(function)
        copies = [
            copy
            for copy in self.space.copies.values()
            if copy.definition is function.definition and copy.instance is function.instance and not copy.body.root
        ]
        if any(copy.live for copy in copies):
            for copy in copies:
                self.inlined.setdefault(copy, Inlined(copy.path, copy.definition, copy.instance))
        else:
            full = full_name(function.definition)
            inlined = Inlined(full if "@" in full else name, function.definition, function.instance)
            self.inlined.setdefault((function.instance, full), inlined)
        return ast.Name(name)

    def _title(self, function: Function) -> str:
        """The bare name of a definition in the paths of the space."""
        for copy in self.space.copies.values():
            if copy.definition is function.definition and copy.instance is function.instance:
                return name_of_copy(copy.path)
        return function.name

    def _alias(self, instance: Instance, path: str) -> str | None:
        """Note the use of a library file; the alias it needs, if any."""
        key = path, tuple(sorted((name, found.key) for name, found in replacements(instance).items()))
        if key not in self.libraries:
            same = [library for library in self.libraries.values() if library.path == path]
            stem = path.rpartition("/")[2].removesuffix(".hsp")
            alias = None if not same and path not in self.aliased else stem + (f"_{len(same) + 1}" if same else "_ops")
            self.libraries[key] = Library(path, instance, alias)
        return self.libraries[key].alias

    # ------------------------------------------------------------ what the file uses

    def uses(self) -> list[ast.Use]:
        """The `use` lines, with the replacements in force."""
        result = []
        for library in sorted(self.libraries.values(), key=lambda library: (library.path, library.alias or "")):
            bindings = []
            for name, found in sorted(replacements(library.instance).items()):
                value = self.renamed(found.value, found.instance, frozenset())
                bindings.append(ast.Binding(ast.Target.of(name), value))
            alias = None if library.alias is None else ast.Ident(library.alias)
            result.append(ast.Use(library.path, alias, tuple(bindings)))
        return result

    def clashes(self, titles: set[str]) -> frozenset[str]:
        """Library files that define a name which the derived file defines too, or another file that it uses."""
        own = {title.partition("@")[0] for title in titles} | self.space.once(_hidden)
        found: set[str] = set()
        seen: dict[str, Hashable] = {}
        for key, library in self.libraries.items():
            names = set(library.instance.unit.names)
            if names & own:
                found.add(library.path)
            for name in names:
                if seen.setdefault(name, key) != key:
                    found.add(library.path)
        return frozenset(found)


def _operations(space: Elaborated) -> dict[str, list[Definition]]:
    """The operations of a space by name, in the order of its graph; those that say the same once."""
    found: dict[str, list[Definition]] = {}
    seen = {space.block}
    pending = [space.block]
    while pending:
        block = pending.pop()
        if block.is_operation and block.definition is not None:
            known = found.setdefault(block.name, [])
            if not any(equal_up_to_names(like, block.definition) for like in known):
                known.append(block.definition)
        calls = [node.payload.block for _, node in block.graph.order() if isinstance(node.payload, Call)]
        inner = [block for block in dict.fromkeys(calls) if block not in seen]
        seen.update(inner)
        pending += reversed(inner)
    return found


def _hidden(space: Elaborated) -> frozenset[str]:
    """The names that lines and parameters have where definitions of other files are mentioned."""
    return hidden_names(space.root.instance.unit.all_used())
