"""Decisions: the choices of a space, each with its path and items; and selections of their items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias

from hdas_dsl.text.source import NOWHERE, Span

Selection: TypeAlias = "dict[str, tuple[int, ...]]"
"""The selected items of each decision, by its path: indices into its items, in source order."""


class DecisionKind(Enum):
    """The subject of a decision: one of several operations, k (or any) of several tensors, a number, a size."""

    OPERATION = "operation"
    PICK = "pick"
    ANY = "any"
    NUMBER = "number"
    SIZE = "size"


@dataclass(frozen=True)
class Decision:
    """A choice of the space.

    ``items`` are readable and in source order; ``derivable`` says which of them a discrete architecture may have. A
    pick of menus has no alphas of its own: ``candidates`` then holds the path of each candidate's own decision, and
    ``sources`` the line or input that each candidate reads, where it is one.
    """

    path: str
    kind: DecisionKind
    items: tuple[str, ...]
    derivable: tuple[bool, ...]
    copy: str
    take: int = 1
    candidates: tuple[str | None, ...] = ()
    sources: tuple[str | None, ...] = ()
    numbers: tuple[int | float, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def alphas(self) -> int:
        """The number of architecture parameters."""
        return 0 if self.candidates else len(self.items)


def taken(decisions: Mapping[str, Decision], chosen: Selection) -> list[str]:
    """The paths of the decisions that a selection depends on: menus whose picks do not take them are left out."""
    idle = {
        menu
        for path, decision in decisions.items()
        for item, menu in enumerate(decision.candidates)
        if menu is not None and item not in chosen[path]
    }
    return [path for path in decisions if path not in idle]


def menus(decisions: Mapping[str, Decision]) -> list[str]:
    """The paths of the decisions that take one item of several: menus, numbers and sizes."""
    picks = (DecisionKind.PICK, DecisionKind.ANY)
    return [path for path, decision in decisions.items() if decision.kind not in picks]
