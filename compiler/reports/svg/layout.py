"""Where the spots and arrows of one picture stand: layers from left to right, placed by fast-sugiyama.

The words on an arrow are a vertex of their own on the way, so that nothing is drawn over them. fast-sugiyama spaces all
vertices alike; here each layer becomes as wide as what it holds, and what is taller pushes its neighbours apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from fast_sugiyama import from_edges
from scipy.optimize import isotonic_regression

from compiler.reports.diagram import Arrow, Picture

from .measure import Box, arrow_box, spot_box

ROW = 30.0
"""The distance of neighbours in a layer, before their heights are known."""
GAP, BETWEEN = 10.0, 26.0
"""Free space between neighbours, and between layers."""
Point = tuple[float, float]


@dataclass(frozen=True)
class Route:
    """An arrow with the points that it runs through, from the right of its source to the left of its target."""

    arrow: Arrow
    points: tuple[Point, ...]
    label: Point | None
    """The middle of its words."""


@dataclass(frozen=True)
class Placed:
    """A picture with the middle of each spot, by key, and the size of all of it."""

    picture: Picture
    boxes: Mapping[str, Box]
    spots: Mapping[str, Point]
    routes: tuple[Route, ...]
    width: float
    height: float


def placed(picture: Picture) -> Placed:
    """Lay a picture out; its left upper corner is at zero."""
    spots = {spot.key: number for number, spot in enumerate(picture.spots)}
    boxes = [spot_box(spot) for spot in picture.spots]
    words: dict[int, int] = {}
    edges: list[tuple[int, int]] = []
    for number, arrow in enumerate(picture.arrows):
        source, target = spots[arrow.source], spots[arrow.target]
        if arrow.label:
            words[number] = len(boxes)
            boxes.append(arrow_box(arrow))
            edges += [(source, words[number]), (words[number], target)]
        else:
            edges.append((source, target))
    places, chains = _layered(edges, len(boxes))
    points = _spread(places, boxes)
    top = min((point[1] - _box(boxes, at).height / 2 for at, point in points.items()), default=0.0)
    points = {at: (x, y - top) for at, (x, y) in points.items()}

    def through(source: int, target: int) -> list[Point]:
        left = points[source][0] + boxes[source].width / 2, points[source][1]
        right = points[target][0] - boxes[target].width / 2, points[target][1]
        return [left, *(points[at] for at in chains.get((source, target), ())), right]

    routes = []
    for number, arrow in enumerate(picture.arrows):
        source, target = spots[arrow.source], spots[arrow.target]
        at = words.get(number)
        run = through(source, target) if at is None else [*through(source, at), *through(at, target)]
        routes.append(Route(arrow, tuple(run), None if at is None else points[at]))
    return Placed(
        picture=picture,
        boxes={key: boxes[number] for key, number in spots.items()},
        spots={key: points[number] for key, number in spots.items()},
        routes=tuple(routes),
        width=max((x + _box(boxes, at).width / 2 for at, (x, _) in points.items()), default=0.0),
        height=max((y + _box(boxes, at).height / 2 for at, (_, y) in points.items()), default=0.0),
    )


def _box(boxes: Sequence[Box], at: int) -> Box:
    """The size of a vertex; a bend of an arrow has none."""
    return boxes[at] if at < len(boxes) else Box((), 0.0, 0.0)


Places = dict[int, Point]
Chains = dict[tuple[int, int], tuple[int, ...]]


def _layered(edges: Sequence[tuple[int, int]], count: int) -> tuple[Places, Chains]:
    """The layer and the height of each vertex, and the bends that an edge over several layers runs through."""
    places: Places = {}
    chains: Chains = {}
    below = 0.0
    bends = count
    if edges:
        layouts = from_edges(
            edges, vertex_spacing=ROW, dummy_vertices=True, dummy_size=0.6, ranking_type="minimize", check_layout=False
        )
        for positions, _, _, made in layouts:
            renamed: dict[object, int] = {}
            for name, _ in positions:
                is_bend = not isinstance(name, int) or name >= count
                renamed[name] = bends if is_bend else int(name)
                bends += is_bend
            # It stacks layers downwards; here they go to the right.
            deepest = max(y for _, (_, y) in positions)
            first = min(x for _, (x, _) in positions)
            for name, (x, y) in positions:
                places[renamed[name]] = round((deepest - y) / ROW), below + x - first
            below = max(across for _, across in places.values()) + 2 * ROW
            after: dict[int, list[int]] = {}
            for source, target in made or ():
                after.setdefault(renamed[source], []).append(renamed[target])
            chains |= _chains(after, count)
    for alone in range(count):
        if alone not in places:
            places[alone] = 0, below
            below += 2 * ROW
    return places, chains


def _chains(after: Mapping[int, Sequence[int]], count: int) -> Chains:
    """The bends between two vertices, of each edge that has some."""
    found: Chains = {}
    for source, nexts in after.items():
        for at in nexts if source < count else ():
            bends: list[int] = []
            while at >= count:
                bends.append(at)
                (at,) = after[at]
            if bends:
                found[source, at] = tuple(bends)
    return found


def _spread(places: Places, boxes: Sequence[Box]) -> Places:
    """The middle of each vertex: layers side by side, and in each the least shift that makes room for the heights."""
    layers: dict[float, list[int]] = {}
    for at, (layer, _) in places.items():
        layers.setdefault(layer, []).append(at)
    points: Places = {}
    left = 0.0
    for layer in sorted(layers):
        found = sorted(layers[layer], key=lambda at: places[at][1])
        widest = max(_box(boxes, at).width for at in found)
        offsets = [0.0]
        for above, under in pairwise(found):
            offsets.append(offsets[-1] + (_box(boxes, above).height + _box(boxes, under).height) / 2 + GAP)
        wanted = [places[at][1] - offset for at, offset in zip(found, offsets, strict=True)]
        for at, y, offset in zip(found, isotonic_regression(wanted).x, offsets, strict=True):
            points[at] = left + widest / 2, float(y) + offset
        left += widest + BETWEEN
    return points
