"""Equality of definitions up to the names of what they mention, across files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from .names import full_name, local_names
from .tree import ast
from .units import Entity, Found, Instance, Namespace, Replacement

Definition: TypeAlias = "tuple[ast.Definition, Instance]"
"""A definition, and the file with its replacements in which its names are looked up."""


@dataclass(frozen=True)
class _Outline:
    """A node with a placeholder for each definition that it mentions, and those definitions in order."""

    node: ast.Node
    mentioned: tuple[Definition, ...]


_NAMELESS = ast.Name("_")


def equal_up_to_names(left: Definition, right: Definition) -> bool:
    """Whether two definitions differ at most in their names, as do the definitions that they mention in turn."""
    seen: set[tuple[str, Instance, str, Instance]] = set()
    pending = [(left, right)]
    while pending:
        (one, here), (other, there) = pending.pop()
        if (one is other and here is there) or (key := (full_name(one), here, full_name(other), there)) in seen:
            continue
        seen.add(key)
        outline, like = _outline(one, here), _outline(other, there)
        if outline.node != like.node or len(outline.mentioned) != len(like.mentioned):
            return False
        pending += zip(outline.mentioned, like.mentioned, strict=True)
    return True


def _outline(definition: ast.Definition, instance: Instance) -> _Outline:
    """The outline of a definition without its own name."""
    found: list[Definition] = []

    def outline(node: ast.Node, where: Instance, local: frozenset[str]) -> ast.Node:
        meant: Found | None = None
        match node:
            case ast.Ident() | ast.CopyName() if node is title:
                return _NAMELESS
            case ast.Name(id=name) if name not in local:
                meant = where.lookup(name)
            case ast.Field(base=ast.Name(id=base), ident=ast.Ident(name=name)) if base not in local:
                used = where.lookup(base)
                meant = used.instance.lookup(name) if isinstance(used, Namespace) else None
        match meant:
            case Replacement(value=value, instance=there):
                return outline(value, there, frozenset())
            case Entity(definitions=definitions, instance=there):
                found.extend((each, there) for each in definitions)
                return _NAMELESS
        return node.mapped(lambda child: outline(child, where, local))

    title = definition.copy if isinstance(definition, ast.GraphDef) else definition.ident
    made = outline(replace(definition, gap=False, note=None), instance, local_names(definition))
    return _Outline(made, tuple(found))
