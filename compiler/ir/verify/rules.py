"""Rules: a node with what its rules look at, a form of payload with its rules, and what several rules share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Weigh
from compiler.ir.shape import Shape


class Stage(Enum):
    """How far a graph has come."""

    HIERARCHICAL = "hierarchical"
    FLAT = "flat"


@dataclass(frozen=True)
class Context:
    """A node with what its rules look at. Without ``decisions``, their names and sizes are not checked."""

    graph: SpaceGraph
    index: int
    node: Node
    stage: Stage
    decisions: Mapping[str, Decision] | None

    @property
    def sources(self) -> tuple[Node, ...]:
        """The nodes that feed it."""
        return tuple(self.graph.node(source) for source in self.graph.sources(self.index))


Rule = Callable[[Context, Any], Iterator[str]]
"""Yields how a node with a payload of one kind breaks a rule."""


@dataclass(frozen=True)
class Form:
    """A legal form of a payload: the stages that may hold it, and its rules by name."""

    stages: frozenset[Stage]
    rules: Mapping[str, Rule]


def unknown_items(context: Context, path: str, items: tuple[int, ...]) -> Iterator[str]:
    """How a mention of a decision and some of its items is wrong."""
    if context.decisions is None:
        return
    decision = context.decisions.get(path)
    if decision is None:
        yield f"there is no decision '{path}'"
        return
    for item in items:
        if not 0 <= item < len(decision.items):
            yield f"'{path}' has {len(decision.items)} items, not item {item}"


def wrong_assignments(context: Context, decisions: tuple[str, ...], joints: list[tuple[int, ...]]) -> Iterator[str]:
    """How joint assignments of decisions are wrong."""
    for joint, count in Counter(joints).items():
        if count > 1:
            yield f"the assignment {joint} stands in it {count} times"
        if len(joint) != len(decisions):
            yield f"the assignment {joint} is of {len(decisions)} decisions"
    for path, items in zip(decisions, zip(*joints, strict=False), strict=False):
        yield from unknown_items(context, path, tuple(dict.fromkeys(items)))
        decision = (context.decisions or {}).get(path)
        if decision is not None and not decision.takes_one:
            yield f"'{path}' does not take one item"


def wrong_candidate(context: Context, factor: Weigh) -> Iterator[str]:
    """How a candidate of a pick is wrong."""
    decision = (context.decisions or {}).get(factor.decision)
    if decision is not None and decision.kind is not DecisionKind.PICK:
        yield f"'{factor.decision}' picks nothing"


def shapes_text(shapes: list[Shape]) -> str:
    """Shapes in a sentence."""
    return " and ".join(map(str, shapes)) or "nothing"
