"""Pictures as SVG: each on a panel of its own, panels in rows, all words as text that can be selected and searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from compiler.reports.diagram import Mark, Picture, Role, Spot
from hdas_dsl.text.printable import printable

from .layout import Placed, Point, Route, placed
from .measure import FACT, Box, Text, arrow_box, width_of
from .theme import FONT, INSTANCES, style_sheet

PAD, MARGIN, TITLE = 18.0, 14.0, 30.0
"""Free space around a picture on its panel and between panels, and the height of a heading."""
WIDEST = 1180.0
"""Panels stand side by side up to this width, or that of the widest."""


@dataclass(frozen=True)
class Panel:
    """A picture, laid out, with its heading."""

    placed: Placed
    title: tuple[Text, ...]

    @classmethod
    def of(cls, picture: Picture) -> Panel:
        """The panel of a picture."""
        several = f" ×{picture.instances}" if picture.instances > 1 else ""
        words = [Text(picture.title, 13, "hd-ink"), Text(f"{picture.level}{several}", FACT, "hd-soft")]
        words += [Text(choice, FACT, "hd-choice") for choice in picture.choices]
        if picture.mark is not Mark.SAME:
            words.append(Text(picture.mark.value, FACT, f"hd-{picture.mark.value}"))
        return cls(placed(picture), tuple(words))

    @property
    def width(self) -> float:
        """The extent of the whole panel, in pixels."""
        return max(self.placed.width, sum(width_of(text) + 12 for text in self.title)) + 2 * PAD

    @property
    def height(self) -> float:
        """The extent of the whole panel, in pixels."""
        return self.placed.height + TITLE + 2 * PAD


def svg_of(name: str, drawn: Sequence[Picture], prefix: str = "hd") -> str:
    """Pictures as one SVG.

    Args:
        name: what it shows, for those who cannot see it.
        drawn: the pictures, in order.
        prefix: begins the names of what the SVG defines: that of each SVG of a page is another.
    """
    panels = [Panel.of(picture) for picture in drawn]
    names = dict.fromkeys(picture.definition for picture in drawn if picture.level != "network")
    fills = {definition: f"hd-of-{at % INSTANCES}" for at, definition in enumerate(names)}
    corners, width, height = _rows(panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label={_quoted(f"picture of {name}")}'
        f" font-family={_quoted(FONT)}>",
        f"<title>{_escaped(name)}</title>",
        f"<style>{style_sheet()}</style>",
        "<defs>",
        *(_head(prefix, kind) for kind in ("head", "choice", "added", "removed", "changed")),
        "</defs>",
        f'<rect class="hd-page" width="{width:.0f}" height="{height:.0f}"/>',
    ]
    for panel, (x, y) in zip(panels, corners, strict=True):
        copies = _quoted(" ".join(panel.placed.picture.copies))
        lines += [
            f'<g transform="translate({x:.1f} {y:.1f})" data-copies={copies}>',
            *_panel(panel, fills, prefix),
            "</g>",
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _rows(panels: Sequence[Panel]) -> tuple[list[Point], float, float]:
    """The corner of each panel, side by side as far as they fit, and the size of all."""
    most = max([WIDEST, *(panel.width for panel in panels)])
    corners: list[Point] = []
    x, y, tallest, widest = MARGIN, MARGIN, 0.0, 0.0
    for panel in panels:
        if x > MARGIN and x + panel.width > most + MARGIN:
            x, y, tallest = MARGIN, y + tallest + MARGIN, 0.0
        corners.append((x, y))
        x += panel.width + MARGIN
        tallest, widest = max(tallest, panel.height), max(widest, x)
    return corners, widest, y + tallest + MARGIN


def _head(prefix: str, kind: str) -> str:
    """The head of an arrow."""
    return (
        f'<marker id="{prefix}-{kind}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
        f' markerUnits="userSpaceOnUse" orient="auto"><path class="hd-{kind}" d="M0 0.8 L8 4 L0 7.2 Z"/></marker>'
    )


def _panel(panel: Panel, fills: dict[str, str], prefix: str) -> Iterator[str]:
    picture = panel.placed.picture
    yield f'<rect class="hd-panel" width="{panel.width:.1f}" height="{panel.height:.1f}" rx="10"/>'
    x = PAD
    fill = fills.get(picture.definition)
    first = panel.title[0]
    if fill is not None:
        yield f'<rect class="{fill}" x="{x - 6:.1f}" y="12" width="{width_of(first) + 12:.1f}" height="22" rx="6"/>'
    for number, text in enumerate(panel.title):
        weight = ' font-weight="bold"' if number == 0 else ""
        yield _words(text, x, 27.0, f"{weight}")
        x += width_of(text) * (1.05 if number == 0 else 1) + 12
    yield f'<g transform="translate({PAD:.0f} {TITLE + PAD:.0f})">'
    for route in panel.placed.routes:
        yield from _route(route, prefix)
    for spot in picture.spots:
        yield from _spot(spot, panel.placed.boxes[spot.key], panel.placed.spots[spot.key], fills)
    yield "</g>"


def _spot(spot: Spot, box: Box, at: Point, fills: dict[str, str]) -> Iterator[str]:
    fill = fills.get(spot.of or "", "hd-of-0") if spot.role is Role.INSTANCE else f"hd-{spot.role.value}"
    mark = "" if spot.mark is Mark.SAME else f" hd-{spot.mark.value}-line"
    x, y = at[0] - box.width / 2, at[1] - box.height / 2
    size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="7"'
    yield f"<g{_choices(spot.slots)}>"
    if spot.folded:
        yield f'<rect class="hd-box {fill}" x="{x + 4:.1f}" y="{y + 4:.1f}" {size}/>'
    dashed = ' stroke-dasharray="4 3"' if spot.role is Role.AUX else ""
    yield f'<rect class="hd-box {fill}{mark}" x="{x:.1f}" y="{y:.1f}" {size}{dashed}/>'
    yield from _centred(box, at)
    yield "</g>"


def _route(route: Route, prefix: str) -> Iterator[str]:
    arrow = route.arrow
    mark = arrow.mark.value if arrow.mark is not Mark.SAME else "choice" if arrow.choice else ""
    style, head = (f" hd-{mark}-line", mark) if mark else ("", "head")
    (x, y), *rest = route.points
    steps = [f"M{x:.1f} {y:.1f}"]
    for across, down in rest:
        if across - x < 12 or abs(down - y) < 1:  # through words, or straight on
            steps.append(f"L{across:.1f} {down:.1f}")
        else:
            middle = (x + across) / 2
            steps.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {down:.1f} {across:.1f} {down:.1f}")
        x, y = across, down
    yield f'<path class="hd-line{style}" d="{" ".join(steps)}" marker-end="url(#{prefix}-{head})"/>'
    if route.label is not None:
        box = arrow_box(arrow)
        kind = "" if arrow.mark is Mark.SAME else f"hd-{arrow.mark.value}"
        left, top = route.label[0] - box.width / 2, route.label[1] - box.height / 2
        yield f"<g{_choices(arrow.slots)}>"
        size = f'width="{box.width:.1f}" height="{box.height:.1f}" rx="4"'
        yield f'<rect class="hd-mask" x="{left:.1f}" y="{top:.1f}" {size}/>'
        yield from _centred(box, route.label, kind)
        yield "</g>"


def _choices(slots: Sequence[str]) -> str:
    """The decisions that a part of the picture stands for, by which a page opens them."""
    return f" data-slots={_quoted(' '.join(slots))}" if slots else ""


def _centred(box: Box, at: Point, kind: str = "") -> Iterator[str]:
    y = at[1] - sum(text.height for text in box.lines) / 2
    for text in box.lines:
        shown = Text(text.words, text.size, kind) if kind else text
        yield _words(shown, at[0], y + text.size * 0.98, ' text-anchor="middle"')
        y += text.height


def _words(text: Text, x: float, y: float, more: str = "") -> str:
    return (
        f'<text class="{text.kind}" x="{x:.1f}" y="{y:.1f}" font-size="{text.size}"{more}>{_escaped(text.words)}</text>'
    )


def _escaped(words: str) -> str:
    """Words of a file, which may hold anything, as text of XML."""
    return escape(printable(words))


def _quoted(words: str) -> str:
    return quoteattr(printable(words))
