"""Undecided numbers of a body against those of an architecture: sizes of families, and what names are bound to."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.elaborate import BodyElaboration
from compiler.elaborate.values import (
    is_undecided_number,
)
from compiler.ir.decision import Selection

from .found import NotInSpaceError
from .graph_matching import settlements


def family_sizes(mine: BodyElaboration, theirs: BodyElaboration) -> list[list[Selection]]:
    """The ways to end each family where it ends. Under `prune` some elements may not be written: there, readers tell.

    Raises:
        NotInSpaceError: one ends elsewhere.
    """
    found: list[list[Selection]] = []
    for family in mine.families.values():
        if family.size is not None and not mine.prune:
            path, numbers, count = family.size.path, family.size.numbers, _length(theirs, family.name)
            if count not in numbers:
                raise NotInSpaceError(path, f"it has {count} elements, not one of {', '.join(map(str, numbers))}")
            found.append([{path: (item,)} for item, number in enumerate(numbers) if number == count])
    return found


def bound_numbers(mine: BodyElaboration, theirs: BodyElaboration) -> list[list[Selection]]:
    """The ways to settle each undecided number that a parameter, a line or an element is bound to.

    Raises:
        NotInSpaceError: the architecture has none of the values of one.
    """
    found = []
    for table, other in ((mine.bindings, theirs.bindings), *_families(mine, theirs)):
        for name, value in table.items():
            if is_undecided_number(value) and not (mine.prune and name not in other):
                given = other.get(name)
                ways = settlements(value, given)
                if not ways:
                    distinct = ", ".join(dict.fromkeys(map(str, value.values)))
                    raise NotInSpaceError(value.decisions[-1], f"{given} is not one of {distinct}")
                found.append(ways)
    return found


def may_lack(mine: BodyElaboration, theirs: BodyElaboration, name: str) -> bool:
    """Whether a line may be missing: the family ends before it, or nothing reaches it."""
    if mine.prune:
        return True
    for family in mine.families.values():
        if family.size is not None:
            count = _length(theirs, family.name)
            if name in {f"{family.name}{i}" for i in range(count, len(family.elements))}:
                return True
    return False


def _length(text: BodyElaboration, family: str) -> int:
    return len(text.families[family].elements) if family in text.families else 0


def _families(
    mine: BodyElaboration, theirs: BodyElaboration
) -> list[tuple[Mapping[str, object], Mapping[str, object]]]:
    pairs: list[tuple[Mapping[str, object], Mapping[str, object]]] = []
    for name, family in mine.families.items():
        other = theirs.families.get(name)
        if other is not None:
            ours = {str(i): v for i, v in family.elements.items()}
            pairs.append((ours, {str(i): v for i, v in other.elements.items()}))
    return pairs
