"""The operations that an edge may have: what a menu of the space offers, by the names that genotypes give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .inline import resolve

LATTICE_NAMES = {
    "none": "none",
    "skip_connect": "skip",
    "nor_conv_1x1": "conv1",
    "nor_conv_3x3": "conv3",
    "avg_pool_3x3": "pool",
}
"""The operations of NAS-Bench-201 strings, and what `spaces/nasbench201.hsp` calls them."""

VERTEX_NAMES = {"conv3x3-bn-relu": "conv3", "conv1x1-bn-relu": "conv1", "maxpool3x3": "pool3"}
"""The operations of NAS-Bench-101, and what `spaces/nasbench101.hsp` calls them."""

_DEEPEST = 32
"""Menus within menus; a menu that offers itself ends here."""


@dataclass(frozen=True)
class Operation:
    """A mention of an operation, and where its name is looked up."""

    expr: ast.Expr
    instance: Instance


def offered(
    func: ast.Expr, instance: Instance, defaults: Mapping[str, ast.Expr], depth: int = 0
) -> dict[str, Operation]:
    """The operations that an application of ``func`` may turn out to be, without those that are only relaxed over.

    Args:
        func: what is applied: an operation, a menu, or items in place.
        instance: where its names are looked up.
        defaults: the parameters in sight, and what they stand for.
        depth: how many menus this one is within.
    """
    if depth > _DEEPEST:
        return {}
    found: dict[str, Operation] = {}
    match func:
        case ast.Choice(items=items):
            for item in items:
                if item.guard != ast.Name("relaxed") and not isinstance(item.value, ast.Dots):
                    found |= offered(item.value, instance, defaults, depth + 1)
        case ast.If(then=then, orelse=orelse):
            found = offered(then, instance, defaults, depth + 1) | offered(orelse, instance, defaults, depth + 1)
        case ast.Name(id=name) if name in defaults:
            return offered(defaults[name], instance, {}, depth + 1)
        case ast.Name() | ast.Field():
            word = func.id if isinstance(func, ast.Name) else func.name
            entity = resolve(func, instance)
            plain = None if entity is None else entity.plain
            if entity is not None and isinstance(plain, ast.MenuDef):
                return offered(plain.value, entity.instance, {}, depth + 1)
            if isinstance(plain, ast.OpDef):
                found[word] = Operation(func, instance)
    return found


def in_sight(instance: Instance) -> dict[str, Operation]:
    """The operations of the libraries in sight of a file, and of the prelude, whose one parameter is a stride."""
    units = {id(unit): unit for _, unit in instance.unit.imports if unit is not None and unit.shipped}
    if instance.unit.prelude is not None:
        units[id(instance.unit.prelude)] = instance.unit.prelude
    found = (line for unit in units.values() for line in unit.module.definitions if isinstance(line, ast.OpDef))
    return {
        line.name: Operation(ast.Name(line.name), instance)
        for line in found
        if len(line.inputs) == 1 and [param.name for param in line.params] == ["stride"]
    }
