"""Where the modules of a lowered network lie: paths of torch modules, made of the names of nodes."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from compiler.backend.names import free
from compiler.ir.graph import Node


def attribute(name: str) -> str:
    """A dotted name as a path of modules."""
    return ".".join(free(part) for part in name.split("."))


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
