"""Decisions: the choices of a space, each with its path and items; and selections of their items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, combinations
from math import comb
from typing import TypeAlias

from hdas_dsl.text.source import NOWHERE, Span

Selection: TypeAlias = "dict[str, tuple[int, ...]]"
"""The selected items of each decision, by its path: indices into its items, in source order."""


class DecisionKind(Enum):
    """The subject of a decision: one of several operations, some of several tensors, a number, a size."""

    OPERATION = "operation"
    PICK = "pick"
    NUMBER = "number"
    SIZE = "size"


@dataclass(frozen=True)
class Decision:
    """A choice of the space.

    ``items`` are readable and in source order; ``derivable`` tells which of them a discrete architecture may have. A
    pick takes from ``least`` to ``most`` of its items: k and k of `pick k of`, none and all of `pick any of`. A pick
    of menus with bounds has no alphas of its own: ``candidates`` then holds the path of each candidate's decision, and
    ``sources`` the line or input that each candidate reads, where it reads just one. ``weights`` are the weights of the
    items in draws by weights, where the text gives any; without them all items are equally likely.
    """

    path: str
    kind: DecisionKind
    items: tuple[str, ...]
    derivable: tuple[bool, ...]
    copy: str
    least: int = 1
    most: int = 1
    candidates: tuple[str | None, ...] = ()
    sources: tuple[str | None, ...] = ()
    numbers: tuple[int | float, ...] = ()
    weights: tuple[float, ...] = ()
    span: Span = field(default=NOWHERE, compare=False, repr=False)

    @property
    def alphas(self) -> int:
        """The number of architecture parameters."""
        return 0 if self.candidates else len(self.items)

    @property
    def takes_one(self) -> bool:
        """Whether it takes exactly one of its items."""
        return self.least == self.most == 1

    @property
    def bounded(self) -> bool:
        """Whether a bound on their number excludes some sets of its items."""
        return self.least > 0 or self.most < len(self.items)

    @property
    def independent(self) -> bool:
        """Whether each item is taken or not by its own strength alone: a pick of no fixed number."""
        return self.kind is DecisionKind.PICK and not self.candidates and not 0 < self.least == self.most

    @property
    def derivable_items(self) -> tuple[int, ...]:
        """The items, by index, that a discrete architecture may have."""
        return tuple(item for item, derivable in enumerate(self.derivable) if derivable)

    def probability(self, item: int | None) -> float:
        """The probability of an item in draws by weights; of a pick, for None, the probability of each of its sets."""
        if self.kind is DecisionKind.PICK:
            sets = sum(comb(len(self.items), size) for size in range(self.least, self.most + 1))
            return 1 / sets if item is None else 1.0
        assert item is not None, "some item is taken"
        weights = self.weights or (1.0,) * len(self.items)
        return weights[item] / sum(weights[other] for other in self.derivable_items)

    @property
    def amount(self) -> str:
        """The number of items that a pick takes, as the language writes it: ``any``, ``2``, ``1..3``."""
        if not self.bounded and not self.candidates:
            return "any"
        return str(self.most) if self.least == self.most else f"{self.least}..{self.most}"


def selections(pick: Decision) -> Iterator[tuple[int, ...]]:
    """All sets of items that a pick may take, the smallest first."""
    sizes = range(pick.least, pick.most + 1)
    return chain.from_iterable(combinations(range(len(pick.items)), size) for size in sizes)


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
    return [path for path, decision in decisions.items() if decision.kind is not DecisionKind.PICK]
