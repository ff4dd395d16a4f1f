"""apart: each instance of a cell has mixing weights under a name of its own; no pass of `PASSES`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Mix
from hdas_dsl.names import is_copy

from .rebuild import rebuild


def instances(graph: SpaceGraph, paths: Collection[str]) -> dict[str, dict[str, str]]:
    """The names of the weights of menus in each instance, by its scope and by the path of the decision.

    Args:
        graph: a flat graph.
        paths: of the decisions whose weights are looked for.
    """
    found: dict[str, dict[str, str]] = {}
    for _, node in graph.order():
        if isinstance(node.payload, Mix):
            for path in node.payload.decisions:
                if path in paths:
                    found.setdefault(_scope(node), {})[path] = _own(node, path)
    return found


def apart(graph: SpaceGraph, paths: Collection[str]) -> SpaceGraph:
    """The graph in which each instance reads weights of its own, called as `instances` says, of these decisions."""

    def visit(node: Node, sources: tuple[int, ...], result: SpaceGraph) -> int | None:
        if not isinstance(node.payload, Mix) or not any(path in paths for path in node.payload.decisions):
            return None
        own = tuple(_own(node, path) if path in paths else path for path in node.payload.decisions)
        return result.add(replace(node, payload=Mix(own, node.payload.rows)), sources)

    return rebuild(graph, visit)


def renamed(names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The path of the decision that each name of `instances` stands for."""
    return {name: path for own in names.values() for path, name in own.items()}


def cells(names: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """The scopes of the instances of each cell that has several, of the names of `instances`."""
    found: dict[tuple[str, ...], list[str]] = {}
    for scope, own in names.items():
        found.setdefault(tuple(own), []).append(scope)
    return [scopes for scopes in found.values() if len(scopes) > 1]


def compared(decisions: Mapping[str, Decision], within: str | None) -> tuple[str, ...]:
    """The menus of operations whose instances are compared, by path: all, or those of the cell of that name."""
    return tuple(
        path
        for path, decision in decisions.items()
        if decision.kind is DecisionKind.OPERATION and (within is None or is_copy(decision.copy, within))
    )


def _scope(node: Node) -> str:
    return node.scope[-1] if node.scope else ""


def _own(node: Node, path: str) -> str:
    return f"{_scope(node)}:{path}"
