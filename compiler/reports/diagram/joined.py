"""Spots that are drawn as one: an input with the line that prepares it, elements in a row that are alike."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hdas_dsl.tree.words import element_of

from .model import Arrow, Role, Spot


def prepared(spots: list[Spot], arrows: list[Arrow]) -> tuple[list[Spot], list[Arrow]]:
    """An input that only one line reads, and that line nothing else, as one spot: how papers draw preprocessing."""
    by_key = {spot.key: spot for spot in spots}
    readers = Counter(arrow.source for arrow in arrows)
    reads = Counter(arrow.target for arrow in arrows)
    joined = {
        arrow.target: arrow
        for arrow in arrows
        if by_key[arrow.source].role is Role.INPUT
        and by_key[arrow.target].role is Role.VALUE
        and readers[arrow.source] == reads[arrow.target] == 1
        and not (arrow.choice or by_key[arrow.target].choices)
    }
    lines = {arrow.source: f"{target} = {' '.join(arrow.label)}" for target, arrow in joined.items()}
    kept = [
        replace(spot, facts=(lines[spot.key],)) if spot.key in lines else spot
        for spot in spots
        if spot.key not in joined
    ]
    moved = [
        replace(arrow, source=joined[arrow.source].source if arrow.source in joined else arrow.source)
        for arrow in arrows
        if arrow.target not in joined
    ]
    return kept, moved


def folded(spots: list[Spot], arrows: list[Arrow]) -> tuple[list[Spot], list[Arrow]]:
    """Three or more elements in a row that are the same but for their index, as one spot."""
    plain = {spot.key for spot in spots if spot.role is Role.INSTANCE and not spot.choices}
    labelled = {arrow.target for arrow in arrows if arrow.label}
    runs: list[list[Spot]] = []
    for spot in spots:
        last = runs[-1][-1] if runs else None
        if last is not None and {spot.key, last.key} <= plain and spot.key not in labelled and _follows(last, spot):
            runs[-1].append(spot)
        else:
            runs.append([spot])
    runs = [part for run in runs for part in ([run] if len(run) > 2 else [[spot] for spot in run])]
    home = {spot.key: run[0].key for run in runs for spot in run}
    shown = [run[0] if len(run) == 1 else _fold(run) for run in runs]
    moved = [replace(arrow, source=home[arrow.source], target=home[arrow.target]) for arrow in arrows]
    return shown, [arrow for arrow in dict.fromkeys(moved) if arrow.source != arrow.target]


def _fold(run: list[Spot]) -> Spot:
    first, last = run[0], run[-1]
    name, *facts = first.facts
    return replace(first, label=f"{first.label} … {last.label}", facts=(f"{len(run)} × {name}", *facts), folded=True)


def _follows(last: Spot, spot: Spot) -> bool:
    here, there = element_of(spot.key), element_of(last.key)
    if here is None or there is None or here[0] != there[0]:
        return False
    return last.facts == spot.facts
