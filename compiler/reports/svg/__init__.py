"""Pictures of spaces, architectures and differences as SVG and PNG; no other program is needed."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.reports.diagram import difference, pictures

from .draw import svg_of
from .png import png_of
from .shown import Shown

__all__ = ["Shown", "png_of", "svg", "svg_difference", "svg_of"]


def svg(space: Elaborated) -> str:
    """A network with its cells and stages as one SVG, in light and dark colours."""
    return svg_of(space.name, pictures(space))


def svg_difference(left: Elaborated, right: Elaborated) -> str:
    """Two architectures as one SVG: what only the left one has in red, what only the right one has in green."""
    return svg_of(f"{left.name} and {right.name}", difference(pictures(left), pictures(right)))
