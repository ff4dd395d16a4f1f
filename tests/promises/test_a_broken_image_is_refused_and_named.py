"""Folders with files that are not images: each kind of damage is one sentence that names the file, and none hangs."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from compiler.searcher.data import DataError, load
from compiler.searcher.data.load import load_data
from compiler.searcher.data.resolution import prepared
from compiler.searcher.settings.datasets import Folder
from tests.support.damage import SPECIAL, Damage, content, cut, fifo, flipped, link
from tests.support.datasets import everything, folder


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HUGE_PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
HUGE_PNG += chunk(b"IDAT", zlib.compress(b""))


def save(form: str, **options: object) -> Damage:
    """The same noise in another format, whole."""

    def damage(path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, form, **options)

    return damage


def both(*damages: Damage) -> Damage:
    def damage(path: Path) -> None:
        for one in damages:
            one(path)

    return damage


IMAGES: dict[str, tuple[Damage, str]] = {
    **SPECIAL,
    "empty": (content(b""), "is empty"),
    "text": (content(b"no image at all"), "is not an image of a known format"),
    "web page": (content(b"<!DOCTYPE html><html><body>404</body></html>"), "is not an image of a known format"),
    "zeros": (content(bytes(5000)), "is not an image of a known format"),
    "png without pixels": (both(save("PNG"), cut(33)), "is not an image of a known format"),
    "png cut within its pixels": (both(save("PNG"), cut(-2000)), "is damaged"),
    "png of flipped bits": (both(save("PNG"), flipped), "is damaged"),
    "png of too many pixels": (content(HUGE_PNG), r"has more than [\d,]+ pixels"),
    "jpeg cut": (both(save("JPEG"), cut(700)), "is damaged: image file is truncated"),
    "jpeg cut within its header": (both(save("JPEG"), cut(20)), "is damaged|is not an image"),
    "bmp cut": (both(save("BMP"), cut(200)), "is damaged: image file is truncated"),
    "tiff cut": (both(save("TIFF"), cut(300)), "is damaged"),
    "webp cut": (both(save("WEBP"), cut(-500)), "is damaged|is not an image"),
    "ppm cut": (both(save("PPM"), cut(100)), "is damaged"),
    "ppm of words": (content(b"P6\nwide high\n255\n"), "is damaged|is not an image"),
    "floats": (lambda path: Image.new("F", (8, 8)).save(path, "TIFF"), "has floating-point numbers as pixels"),
    "32 bits": (lambda path: Image.new("I", (8, 8)).save(path, "TIFF"), "has whole numbers of 32 bits as pixels"),
}


@pytest.mark.parametrize("spec", [Folder(), Folder(crop=1)], ids=["random", "centre"])
@pytest.mark.parametrize("damage", IMAGES)
def test_a_broken_image_is_named_and_can_be_skipped(damage: str, spec: Folder, tmp_path: Path) -> None:
    folder(tmp_path, {"train": (40, 40), "val": (40, 40)})
    broken = tmp_path / "train" / "dog" / "1.png"
    make, why = IMAGES[damage]
    make(broken)
    with pytest.raises(DataError, match=rf"^1 of 8 images of folder cannot be used: {broken} ({why})[^\n]*leaves them"):
        load_data(spec, tmp_path, input_shape=(3, 8, 8))
    data = load_data(spec.replace("skip_broken", True), tmp_path, input_shape=(3, 8, 8))
    assert everything(data, "train")[1].tolist() == [0, 0, 1]
    assert len(data.warnings) == 1
    assert data.warnings[0].startswith(f"1 of 8 images of folder cannot be used: {broken} ")
    assert data.warnings[0].endswith("they are left out")


@pytest.mark.parametrize("damage", ["empty", "png cut within its pixels", "jpeg cut"])
def test_images_that_do_not_fit_in_memory_are_decoded_once_before_the_run(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder(tmp_path, {"train": (40, 40), "val": (40, 40)})
    IMAGES[damage][0](tmp_path / "val" / "cat" / "0.png")
    monkeypatch.setattr(load, "prepared", lambda samples, size: prepared(samples, size, memory=10))
    with pytest.raises(DataError, match=r"^1 of 8 images of folder cannot be used: .*val/cat/0\.png"):
        load_data(Folder(), tmp_path, input_shape=(3, 8, 8))


def test_many_broken_images_are_counted_and_some_named(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for path in tmp_path.glob("*/*/1.png"):
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"^4 of 8 images .*: .*1.png is empty; .*; .*; and 1 more; `skip_broken = true`"
    ):
        load_data(Folder(), tmp_path, input_shape=(3, 8, 8))


def test_a_class_without_a_whole_image_is_not_skipped(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for path in tmp_path.glob("train/dog/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"^2 of 8 images of folder cannot be used: .*dog/0.png is empty"):
        load_data(Folder(), tmp_path, input_shape=(3, 8, 8))
    with pytest.raises(DataError, match=r"^no image of the class 'dog' can be used: all of them are broken$"):
        load_data(Folder(skip_broken=True), tmp_path, input_shape=(3, 8, 8))


@pytest.mark.parametrize("damage", [fifo, content(b""), link("nowhere"), link("folder")], ids=range(4))
@pytest.mark.parametrize("place", ["", "train"])
def test_a_folder_that_is_none(damage: Damage, place: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    damage(tmp_path / "folder" / place if place else tmp_path / "other")
    with pytest.raises(DataError, match=r"holds no image data|cannot be read: Not a directory"):
        load_data(Folder(path="folder" if place else "other"), tmp_path, input_shape=(3, 8, 8))
