"""Pictures of the sections of a page, made coarse, beside those that were kept.

Fonts differ between machines, and with them where a line ends. So a section is compared by its proportions, and by its
colours in a grid of `WIDE` squares across: a plot, a picture or a table that is missing, empty or of another colour is
seen, the shape of a letter is not.
"""

from __future__ import annotations

import io
import os
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageFilter

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

WIDE = 48
MEAN, SOMEWHERE = 6.0, 60.0
"""By how much of 255 colours may differ, in the mean and around any square."""
LONGER = 0.1
"""By which share a section may be longer or shorter."""


def pictures(browser: Chrome) -> dict[str, Image.Image]:
    """Each section of a page as it is shown, by its id."""
    places: dict[str, list[float]] = browser.execute_script(
        "document.querySelector('nav').style.position = 'static'; scrollTo(0, 0);"
        "return Object.fromEntries([...document.querySelectorAll('section.card[id]')].map(s => { const r ="
        " s.getBoundingClientRect(); return [s.id, [r.x + scrollX, r.y + scrollY, r.width, r.height]]; }))"
    )
    wide, high = browser.execute_script(
        "return [document.documentElement.clientWidth, document.documentElement.scrollHeight]"
    )
    clip = {"x": 0, "y": 0, "width": wide, "height": high, "scale": 0.5}
    shot: Any = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    whole = Image.open(io.BytesIO(b64decode(shot["data"]))).convert("RGB")
    return {
        name: whole.crop((int(x / 2), int(y / 2), int((x + w) / 2), int((y + h) / 2)))
        for name, (x, y, w, h) in places.items()
    }


def differences(found: Mapping[str, Image.Image], folder: Path) -> list[str]:
    """A sentence on each section that looks otherwise than its picture in a folder; UPDATE_GOLDEN=1 writes these."""
    coarse = {name: image.resize((WIDE, max(1, WIDE * image.height // image.width))) for name, image in found.items()}
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.png"):
            path.unlink()
        for name, image in coarse.items():
            image.quantize(32).save(folder / f"{name}.png", optimize=True)
    kept = {path.stem: Image.open(path).convert("RGB") for path in sorted(folder.glob("*.png"))}
    said = [f"{name}: only on one side" for name in sorted(kept.keys() ^ coarse.keys())]
    for name in kept.keys() & coarse.keys():
        said += _difference(name, coarse[name], kept[name])
    return said


def _difference(name: str, ours: Image.Image, theirs: Image.Image) -> list[str]:
    if abs(ours.height / theirs.height - 1) > LONGER and abs(ours.height - theirs.height) > 2:
        return [f"{name}: {ours.height} squares high, not {theirs.height}"]
    smooth = [
        np.asarray(image.resize(theirs.size).filter(ImageFilter.BoxBlur(1)), dtype=float) for image in (ours, theirs)
    ]
    apart = np.abs(smooth[0] - smooth[1]).mean(axis=2)
    if apart.mean() > MEAN or apart.max() > SOMEWHERE:
        return [f"{name}: colours differ by {apart.mean():.1f} in the mean, by {apart.max():.0f} somewhere"]
    return []
