"""The decisions of a smaller space: each choice keeps some of its items, each pick all candidates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from compiler.elaborate.trace import ChoiceRecord, Reading
from compiler.elaborate.values import Value
from compiler.ir.decision import Decision, Selection, menus


@dataclass(frozen=True)
class Remaining:
    """The decisions that stay open, each with the items that it keeps, and those of them that lost items."""

    items: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    relaxed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    """The items that no architecture has: they are there while a space is searched."""
    weights: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """The weights of the items of each decision that has any."""
    smaller: frozenset[str] = frozenset()
    """The decisions that lost items, those among them that are made by it."""

    def is_open(self, choice: ChoiceRecord[Value]) -> bool:
        """Whether a choice of the text stays one."""
        return choice.path in self.items

    def changes(self, reading: Reading[Value]) -> bool:
        """Whether any choice of a passage through the text lost items, those inside of items included."""
        return any(map(self.changed, reading.choices()))

    def changed(self, choice: ChoiceRecord[Value]) -> bool:
        """Whether a choice lost items, or a choice inside of its items did."""
        if choice.path in self.smaller:
            return True
        inner = {id(option.position.reading): option.position.reading for option in choice.options}
        return any(reading.in_menu and self.changes(reading) for reading in inner.values())


NOTHING_LEFT = Remaining()
"""All decisions are made."""


def kept_items(
    decisions: Mapping[str, Decision],
    strengths: Mapping[str, Sequence[float]],
    chosen: Selection,
    keep: int,
    alive: Mapping[str, Sequence[int]] | None = None,
) -> Selection:
    """The items that each choice keeps: the one that is chosen, and the strongest others that live, in source order.

    Args:
        decisions: those of a space.
        strengths: the strength of each item, by the path of its decision.
        chosen: the architecture that the smaller space contains in any case.
        keep: how many items a choice keeps.
        alive: the items that live, where some do not.
    """
    found: Selection = {}
    for path in menus(decisions):
        taken = chosen[path][0]
        items = range(len(decisions[path].items)) if alive is None else alive[path]
        others = sorted((item for item in items if item != taken), key=partial(_rank, strengths[path]))
        found[path] = tuple(sorted((taken, *others[: keep - 1])))
    return found


def _rank(strengths: Sequence[float], item: int) -> tuple[float, int]:
    """The strongest first; ties go to the first in source order."""
    return -strengths[item], item


def remaining(decisions: Mapping[str, Decision], kept: Selection) -> Remaining:
    """The decisions that stay open where choices keep these items; picks stay as they are."""
    items: dict[str, tuple[int, ...]] = {}
    for path, decision in decisions.items():
        left = kept.get(path, tuple(range(len(decision.items))))
        if path not in kept or len(left) > 1:
            items[path] = left
    return Remaining(
        items,
        {path: frozenset(i for i, found in enumerate(d.derivable) if not found) for path, d in decisions.items()},
        {path: dict(enumerate(d.weights)) for path, d in decisions.items() if d.weights},
        frozenset(path for path, left in kept.items() if len(left) < len(decisions[path].items)),
    )
