"""The syntax tree as text, one node a line, for `--emit ast`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum

from .ast import CopyName, Dim, Earlier, Ident, Node, Use

LAYOUT = ("span", "gap")
"""Fields of the place of a node."""

_ROLES: dict[type[Node], str] = {Dim: "index", Earlier: "family", Use: "alias"}
"""The label of a node's identifier where it is not ``name``."""


def dump(tree: Node) -> str:
    """Every node below the one it belongs to: field, kind, plain fields, and where it begins and ends."""
    return "\n".join(_lines(tree, "", 0)) + "\n"


def _lines(node: Node, role: str, level: int) -> Iterator[str]:
    plain: list[str] = []
    below: list[tuple[str, Node]] = []
    for item in fields(node):
        value = getattr(node, item.name)
        if item.name in LAYOUT or value is None or value == ():
            continue
        if isinstance(value, CopyName):
            plain.append(f"{item.name}={value}")
        elif isinstance(value, Ident):
            plain.append(f"{_ROLES.get(type(node), 'name')}={_plain(value.name)}")
        elif isinstance(value, tuple) and isinstance(value[0], Ident):
            plain.append(f"names={_plain(tuple(ident.name for ident in value))}")
        elif isinstance(value, Node):
            below.append((item.name, value))
        elif isinstance(value, tuple) and isinstance(value[0], Node):
            below += [(f"{item.name}[{position}]", part) for position, part in enumerate(value)]
        else:
            plain.append(f"{item.name}={_plain(value)}")
    start, end = (node.span.source.position(at) for at in (node.span.start, node.span.end))
    words = [f"{role}:" if role else "", type(node).__name__, *plain, f"@{start[0]}:{start[1]}-{end[0]}:{end[1]}"]
    yield "  " * level + " ".join(word for word in words if word)
    for name, child in below:
        yield from _lines(child, name, level + 1)


def _plain(value: object) -> str:
    match value:
        case Enum():
            return str(value.value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case tuple():
            return f"({', '.join(map(_plain, value))})"
    return str(value)
