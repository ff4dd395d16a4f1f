"""An SVG as PNG, by resvg, which is a library and needs nothing else."""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image, ImageFont

from compiler.util.files import atomic_write

ZOOM = 2.0
"""Pixels for one of the SVG."""
MOST = 12_000
"""Pixels of the longer side at most; a picture that would be longer is drawn smaller."""
SIZE = re.compile(r'<svg[^>]* width="(?P<width>\d+)" height="(?P<height>\d+)"')


def png_of(svg: str) -> bytes:
    """The picture in its light colours, in twice its size.

    Words are drawn in a font of this machine, or in the one that Pillow brings along where it has none.
    """
    import resvg_py

    found = SIZE.search(svg)
    longer = max(int(found["width"]), int(found["height"])) if found else 1
    font = ImageFont.load_default(12)
    with TemporaryDirectory() as folder:
        files = []
        if isinstance(font, ImageFont.FreeTypeFont) and isinstance(getattr(font, "font_bytes", None), bytes):
            path = Path(folder) / "aileron.ttf"
            atomic_write(path, font.font_bytes)
            files = [str(path)]
        drawn = resvg_py.svg_to_bytes(svg_string=svg, zoom=min(ZOOM, MOST / longer), font_files=files)
    made = BytesIO()
    with Image.open(BytesIO(bytes(drawn))) as image:
        image.convert("RGB").save(made, "PNG", optimize=False)
    return made.getvalue()
