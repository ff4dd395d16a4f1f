"""A picture as a value: a notebook shows it, a script saves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write

from .png import png_of


@dataclass(frozen=True, repr=False)
class Shown:
    """A picture of a space, of an architecture, or of two; ``svg`` is its text."""

    svg: str

    def __repr__(self) -> str:
        return f"Picture({len(self.svg)} characters of SVG)"

    def _repr_svg_(self) -> str:
        return self.svg

    def png(self) -> bytes:
        """The picture in pixels."""
        return png_of(self.svg)

    def save(self, path: str | Path) -> None:
        """Write it to a file, as its name ends: ``.svg`` or ``.png``.

        Raises:
            UsageError: the name ends otherwise.
            OSError: it cannot be written.
        """
        made = {".svg": lambda: self.svg.encode(), ".png": self.png}.get(Path(path).suffix)
        if made is None:
            raise UsageError(f"'{path}' is neither .svg nor .png")
        atomic_write(Path(path), made())
