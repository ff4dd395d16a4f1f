"""The names that definitions bind and mention, and the replacements of a library that an architecture still needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set

from .tree import ast
from .tree.words import ELEMENT
from .units import Instance, Replacement, Unit


def replacements(instance: Instance) -> dict[str, Replacement]:
    """The replacements that concern an architecture: not those of menus, of which it has none."""

    def is_menu(unit: Unit, name: str) -> bool:
        own = unit.names.get(name)
        used = (inner for _, inner in unit.imports if inner is not None and inner.defines(name))
        return isinstance(own[0], ast.MenuDef) if own else any(is_menu(inner, name) for inner in used)

    return {name: found for name, found in instance.replace.items() if not is_menu(instance.unit, name)}


def is_called(item: str, name: str) -> bool:
    """Whether ``name`` in a setting refers to an item: by its text, or by its name in its file, `skip` for `nb.skip`.

    An item that only ends with such a name, `relu -> nb.skip`, is not referred to.
    """
    alias, _, own = item.partition(".")
    return item == name or (own == name and alias.isidentifier())


def name_of_copy(path: str) -> str:
    """The name of the definition of a copy, from its path: `Cell` of `Stage@1.Cell@0`."""
    return path.rpartition(".")[2].partition("@")[0]


def is_copy(path: str, name: str) -> bool:
    """Whether ``name`` in a setting refers to a copy: by its path, or by the name of its definition."""
    return name in (path, name_of_copy(path))


def local_names(definition: ast.TopLine) -> frozenset[str]:
    """Every name that a definition binds: inputs, parameters, lines, indices, where-names."""
    names: set[str] = set()
    for node in definition.walk():
        match node:
            case ast.Param(name=name):
                names.add(name)
            case ast.Target(names=targets, dims=dims):
                names.update(targets)
                names.update(dim.index for dim in dims)
    for node in definition.walk():
        if isinstance(node, ast.Name) and (match := ELEMENT.fullmatch(node.id)) and match[1] in names:
            names.add(node.id)
    return frozenset(names)


def hidden_names(units: Iterable[Unit]) -> frozenset[str]:
    """Names of used files, `nb.skip`, that a definition mentions while a line or parameter of its own is named `skip`.

    In one text without aliases the used definition needs another name.
    """
    return frozenset(name for unit in units for line in unit.module.definitions for name in _hidden(line, unit))


def _hidden(definition: ast.Definition, unit: Unit) -> Iterator[str]:
    aliases = {use.alias for use in unit.module.uses if use.alias is not None}
    local = local_names(definition)
    # A default is read outside: in `Cell = nb.Cell` both may have the name.
    params = () if isinstance(definition, ast.MenuDef) else definition.params
    defaults = {id(param.default) for param in params if param.default is not None}
    for node in definition.walk() if aliases else ():
        match node:
            case ast.Field(base=ast.Name(id=base), name=name) if base in aliases and name in local:
                if id(node) not in defaults:
                    yield name


def mentions(node: ast.Node, local: Set[str]) -> Iterator[tuple[str, str | None]]:
    """The names below a node, each with the label of its copy, unless it depends on ``local`` names.

    In a line its own name is none of them: of `mid = Cell@mid(x)` it is the label.
    """
    match node:
        case ast.Binding(target=target) if not local.isdisjoint(target.names):
            for child in node.children():
                yield from mentions(child, local - frozenset(target.names))
        case ast.Copy(base=ast.Name(id=name), label=ast.Number(text=label)):
            yield name, label
        case ast.Copy(base=ast.Name(id=name), label=ast.Name(id=label)) if label not in local:
            yield name, label
        case ast.Name(id=name):
            yield name, None
        case _:
            for child in node.children():
                yield from mentions(child, local)


def is_element(name: str, families: Mapping[str, object]) -> bool:
    """Whether a name is that of an element, ``n0``, of one of the families."""
    match = ELEMENT.fullmatch(name)
    return match is not None and match[1] in families


def bare_name(expr: ast.Node) -> str:
    """A name without the alias of its file, `skip` of `nb.skip`; empty where the expression is not a name."""
    return expr.id if isinstance(expr, ast.Name) else expr.name if isinstance(expr, ast.Field) else ""


def full_name(definition: ast.Definition) -> str:
    """The name that a definition alone has in its file: with the labels of a copy."""
    return str(definition.copy) if isinstance(definition, ast.GraphDef) else definition.name
