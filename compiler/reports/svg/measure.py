"""The size of words in a picture, and of the boxes around them.

Readers have different fonts. Words are measured in the one that Pillow brings along, and get some room more.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from PIL import ImageFont

from compiler.reports.diagram import Arrow, Spot

LABEL, FACT, WORDS = 12, 10, 10
"""Sizes of type, in pixels: of the label of a spot, of what stands below it, of what stands on arrows."""
ROOM = 1.12
"""How much wider than measured a word may be in the reader's font."""
PAD_X, PAD_Y = 9.0, 5.0
LEAST_WIDTH, LEAST_HEIGHT = 30.0, 26.0
MOST = 48
"""How many signs of a line are shown."""


@dataclass(frozen=True)
class Text:
    """A line of a box: its words, size, and the class of its colour."""

    words: str
    size: int
    kind: str

    @property
    def height(self) -> float:
        """From this line to the next."""
        return self.size * 1.3


@dataclass(frozen=True)
class Box:
    """Lines of text, and the size of what surrounds them."""

    lines: tuple[Text, ...]
    width: float
    height: float


def spot_box(spot: Spot) -> Box:
    """The box of a spot: its label, then facts, then choices."""
    lines = [Text(shortened(spot.label), LABEL, "hd-ink")]
    lines += [Text(shortened(fact), FACT, "hd-soft") for fact in spot.facts]
    lines += [Text(shortened(choice), FACT, "hd-choice") for choice in spot.choices]
    return _boxed(lines, PAD_X, PAD_Y)


def arrow_box(arrow: Arrow) -> Box:
    """The box of an arrow's words."""
    kind = "hd-choice" if arrow.choice else "hd-ink"
    lines = tuple(Text(shortened(word), WORDS, kind) for word in arrow.label)
    return Box(lines, max(width_of(line) for line in lines) + 6, sum(line.height for line in lines) + 2)


def shortened(words: str) -> str:
    """A line as it is shown: not longer than a box can be."""
    return words if len(words) <= MOST else words[: MOST - 1] + "…"


def width_of(text: Text) -> float:
    """The width of a line, in pixels."""
    return float(_font(text.size).getlength(text.words)) * ROOM


def _boxed(lines: list[Text], pad_x: float, pad_y: float) -> Box:
    width = max(width_of(line) for line in lines) + 2 * pad_x
    height = sum(line.height for line in lines) + 2 * pad_y
    return Box(tuple(lines), max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
