"""Two architectures in one picture: what is in both, what is gone, what is new, and what is another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from .model import Arrow, Mark, Picture, Spot


def difference(left: Sequence[Picture], right: Sequence[Picture]) -> list[Picture]:
    """The pictures of both, copy by copy; copies in which the same differs are one picture."""
    ours, theirs = _by_copy(left), _by_copy(right)
    groups: dict[object, list[Picture]] = {}
    for copy in dict.fromkeys([*theirs, *ours]):
        found = _both(ours.get(copy), theirs.get(copy))
        groups.setdefault((found.definition, found.spots, found.arrows, found.mark), []).append(found)
    return [
        replace(
            alike[0],
            copies=tuple(copy for item in alike for copy in item.copies),
            instances=sum(item.instances for item in alike),
        )
        for alike in groups.values()
    ]


def _by_copy(drawn: Sequence[Picture]) -> dict[str, Picture]:
    """A picture for each copy; the network, however it is called, under one name."""
    found = {}
    for picture in drawn:
        for number, copy in enumerate(picture.copies):
            instances = picture.instances // len(picture.copies) + (number < picture.instances % len(picture.copies))
            alone = replace(picture, copies=(copy,), instances=instances)
            found["" if picture.level == "network" else copy] = alone
    return found


def _both(ours: Picture | None, theirs: Picture | None) -> Picture:
    if theirs is None:
        assert ours is not None, "a copy is in one of both"
        return replace(ours, mark=Mark.REMOVED)
    if ours is None:
        return replace(theirs, mark=Mark.ADDED)
    spots = tuple(_spots(ours, theirs))
    arrows = tuple(_arrows(ours, theirs))
    return replace(theirs, spots=spots, arrows=arrows)


def _spots(ours: Picture, theirs: Picture) -> Iterator[Spot]:
    old, new = ({spot.key: spot for spot in picture.spots} for picture in (ours, theirs))
    for key in dict.fromkeys([*(key for key in old if key not in new), *new]):
        if key not in new:
            yield replace(old[key], mark=Mark.REMOVED)
        elif key not in old:
            yield replace(new[key], mark=Mark.ADDED)
        else:
            yield _changed(old[key], new[key])


def _changed(old: Spot, new: Spot) -> Spot:
    """A spot of both; what it says in one of them only stands as ``old → new``."""
    if (old.facts, old.choices, old.of, old.label) == (new.facts, new.choices, new.of, new.label):
        return new
    if len(old.facts) == len(new.facts):
        pairs = zip(old.facts, new.facts, strict=True)
        facts = tuple(ours if ours == theirs else f"{ours} → {theirs}" for ours, theirs in pairs)
    else:
        facts = (f"{', '.join(old.facts) or 'nothing'} → {', '.join(new.facts) or 'nothing'}",)
    return replace(new, facts=facts, mark=Mark.CHANGED)


def _arrows(ours: Picture, theirs: Picture) -> Iterator[Arrow]:
    old, new = ({(arrow.source, arrow.target, arrow.label): arrow for arrow in item.arrows} for item in (ours, theirs))
    yield from (replace(arrow, mark=Mark.REMOVED) for key, arrow in old.items() if key not in new)
    yield from (arrow if key in old else replace(arrow, mark=Mark.ADDED) for key, arrow in new.items())
