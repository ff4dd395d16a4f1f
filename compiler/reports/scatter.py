"""Points of two quantities as a picture: all of them, and a line through some."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT, MARGIN = 640, 400, 64
COLOUR = "#0060a0"
Point = tuple[float, float]


def scatter(points: Sequence[Point], marked: Sequence[Point], x: str, y: str) -> str:
    """An SVG of points, grey, and of marked ones, joined in their order; the axes are called ``x`` and ``y``."""
    every = [*points, *marked]
    (left, right), (low, high) = (_extent([point[axis] for point in every]) for axis in (0, 1))
    bottom, end = HEIGHT - MARGIN, WIDTH - MARGIN

    def placed(point: Point) -> tuple[str, str]:
        across = MARGIN + (point[0] - left) / (right - left) * (end - MARGIN)
        down = bottom - (point[1] - low) / (high - low) * (bottom - MARGIN)
        return f"{across:.1f}", f"{down:.1f}"

    def dots(some: Sequence[Point], radius: int, colour: str) -> list[str]:
        return [f'<circle cx="{cx}" cy="{cy}" r="{radius}" fill="{colour}"/>' for cx, cy in map(placed, some)]

    path = " ".join(",".join(placed(point)) for point in marked)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<path d="M{MARGIN},{MARGIN} V{bottom} H{end}" fill="none" stroke="black"/>',
        *dots(points, 2, "#b0b0b0"),
        f'<polyline points="{path}" fill="none" stroke="{COLOUR}"/>',
        *dots(marked, 4, COLOUR),
        _text(MARGIN, bottom + 16, f"{left:.6g}", "start"),
        _text(end, bottom + 16, f"{right:.6g}", "end"),
        _text(WIDTH // 2, bottom + 32, x, "middle"),
        _text(MARGIN - 6, bottom, f"{low:.4g}", "end"),
        _text(MARGIN - 6, MARGIN + 4, f"{high:.4g}", "end"),
        _text(MARGIN, MARGIN - 16, y, "middle"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _text(x: int, y: int, words: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" font-size="12" text-anchor="{anchor}">{escape(words)}</text>'


def _extent(values: Sequence[float]) -> Point:
    low, high = min(values), max(values)
    return (low, high) if low < high else (low - 1, high + 1)
