"""The names of lowered networks: Python identifiers for values, paths of torch modules for what holds parameters."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping

from torch import fx, nn

from compiler.ir.graph import Node

WEIGHTS = "weights"
"""The name of the argument that holds the weights of the choices."""

RESERVED = {*keyword.kwlist, *dir(fx.GraphModule), *dir(nn.Module()), "meta", "self", WEIGHTS}
"""Names that Python or torch uses itself; as a line's name they get an underscore."""


def identifier(name: str) -> str:
    """A dotted name as a Python identifier."""
    word = _safe(re.sub(r"\W", "_", name))
    return word if not word[0].isdigit() else f"_{word}"


def attribute(name: str) -> str:
    """A dotted name as a path of modules."""
    return ".".join(_safe(part) for part in name.split("."))


def module_path(region: tuple[str, ...], scope: tuple[str, ...], name: str) -> str:
    """The path of modules from a region to what lies in a scope inside it; names are full."""
    places = [*scope[len(region) :], name]
    around = [*region[-1:], *places[:-1]] if region else ["", *places[:-1]]
    return ".".join(
        attribute(place.removeprefix(f"{outer}.") if outer else place)
        for place, outer in zip(places, around, strict=True)
    )


def node_path(node: Node) -> str:
    """The path that a node's module has in a lowered network."""
    return module_path((), node.scope, node.name)


def _safe(word: str) -> str:
    return f"{word}_" if word.rstrip("_") in RESERVED else word


def tree(modules: Mapping[str, nn.Module]) -> nn.Module:
    """Modules of dotted names as a tree; a name may lie below another."""
    root = nn.Module()
    for name in sorted(modules, key=lambda name: name.count(".")):
        *path, last = name.split(".")
        parent = root
        for part in path:
            if not hasattr(parent, part):
                parent.add_module(part, nn.Module())
            parent = parent.get_submodule(part)
        parent.add_module(last, modules[name])
    return root
