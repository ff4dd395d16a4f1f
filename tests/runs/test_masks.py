"""Folders of images with masks: what a segmentation is given of them, trained on, and refused with its place."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compiler import api
from compiler.commands.compile import compile_main
from compiler.searcher.data.load import Data
from compiler.searcher.data.mask_folders import load_masks
from compiler.searcher.settings.datasets import Folder, MissingDataError
from hdas_dsl.text.diagnostics import HspError
from tests.support.paths import DOCS

SECTION = (DOCS / "tasks.md").read_text().split("### Images with masks")[1].split("\n### ")[0].split("\n## ")[0]
(NET,) = re.findall(r"```hsp\n(.*?)```", SECTION, re.DOTALL)
STILL = Folder(path="shapes", flip=False, jitter=0.0)
SIDE = 8
PALETTE = [*range(256)] * 3


def mask_of(number: int, side: int = SIDE) -> np.ndarray:
    """A band of the class 1 or 2 in the class 0, whose first row is not known."""
    mask = np.zeros((side, side), dtype=np.uint8)
    mask[:, number % 3 * side // 4 :][:, : side // 4] = 1 + number % 2
    mask[0] = 255
    return mask


def write(place: Path, numbers: range, side: int = SIDE) -> None:
    """Images and masks as tools write them: JPEG and PNG in colour and grey; a palette and grey."""
    for name in ("images", "masks"):
        (place / name / "deep").mkdir(parents=True)
    for number in numbers:
        mask = mask_of(number, side)
        pixels = np.stack([mask, mask // 2, np.full_like(mask, number)], 2)
        image = Image.fromarray(pixels if number % 3 else mask)
        image.save(place / "images" / ("deep/" * (number % 2) + f"{number}.{'bmp' if number % 2 else 'png'}"))
        saved = Image.fromarray(mask)
        if number % 4 == 1:
            saved.putpalette(PALETTE)
        saved.save(place / "masks" / ("deep/" * (number % 2) + f"{number}.png"))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program, and a folder of six images for the training and three for the test."""
    monkeypatch.chdir(tmp_path)
    place = Path("data/shapes")
    write(place / "train", range(6))
    write(place / "val", range(6, 9))
    Path("n.hsp").write_text(NET)
    return place


def all_of(data: Data, part: str) -> tuple[torch.Tensor, torch.Tensor]:
    images = getattr(data, part)
    found: tuple[torch.Tensor, torch.Tensor] = images.__getitems__(range(len(images)))
    return found


def load(spec: Folder = STILL, *, channels: int = 3, side: int = SIDE, memory: int = 2**20) -> Data:
    return load_masks(spec, Path("data"), (channels, side, side), 3, 255, memory=memory)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("memory", [0, 2**20])
def test_images_and_masks_lie_on_each_other(channels: int, memory: int) -> None:
    """In the order of their names, in memory or not: as an independent reading of the files has them."""
    data = load(channels=channels, memory=memory)
    assert data.train.in_memory == bool(memory)
    assert (len(data.train), len(data.test), data.warnings) == (6, 3, ())
    mean, std = ((0.459,), (0.226,)) if channels == 1 else ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    for part, order in (("train", (0, 2, 4, 1, 3, 5)), ("test", (6, 8, 7))):
        images, masks = all_of(data, part)
        assert masks.dtype == torch.int64
        for number, image, mask in zip(order, images, masks, strict=True):
            assert np.array_equal(mask.numpy(), mask_of(number))
            levels = image * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
            if number % 3 == 0 or channels == 3:
                assert np.array_equal((levels[0] * 255).round().numpy().astype(np.uint8), mask_of(number))
            if number % 3 and channels == 3:
                assert (levels[2] * 255).round().unique().tolist() == [number]


def test_masks_are_resized_to_the_nearest_pixel() -> None:
    """No class arises between two others; half the size is each second pixel, twice the size each pixel twice."""
    mask = mask_of(6)
    for side, expected in ((16, mask.repeat(2, 0).repeat(2, 1)), (4, mask[1::2, 1::2])):
        images, masks = all_of(load(side=side), "test")
        assert images.shape == (3, 3, side, side)
        assert np.array_equal(masks[0].numpy(), expected)


def test_masks_move_with_their_images() -> None:
    """Mirrored and shifted alike; around a mask is what is ignored."""
    data = load(Folder(path="shapes", flip=True, jitter=0.0, crop=2))
    still = all_of(load(), "train")[1]
    kept, mirrored = 0, 0
    for seed in range(4):
        torch.manual_seed(seed)
        images, masks = all_of(data, "train")
        reds = ((images[:, 0] * 0.229 + 0.485) * 255).round()
        inside = reds != 128  # The padding of an image.
        assert torch.equal(reds.long()[inside], masks[inside])
        assert (masks[~inside] == 255).all()
        assert (~inside).any()
        kept += sum(torch.equal(a, b) for a, b in zip(masks, still, strict=True))
        mirrored += int((masks.flip(2)[:, 4] == still[:, 4]).all(1).sum())
    assert kept < 24
    assert mirrored
    torch.manual_seed(0)
    again = load(Folder(path="shapes", jitter=0.5))
    assert not torch.equal(all_of(again, "train")[0], all_of(again, "train")[0])
    assert torch.equal(all_of(again, "test")[1], all_of(load(), "test")[1])


def test_without_a_test_part_a_fifth_is_held_out(here: Path) -> None:
    for place in (here / "val", here / "train"):
        assert {path.name for path in place.iterdir()} == {"images", "masks"}
    (here / "val").rename("elsewhere")
    first, second = load(), load(STILL.replace("images", 2))
    assert (len(first.train), len(first.test), len(second.train)) == (5, 1, 2)
    every = torch.cat([all_of(first, part)[1] for part in ("train", "test")])
    assert len({mask.numpy().tobytes() for mask in every}) == 6
    for name in ("images", "masks"):
        (here / "train" / name).rename(here / name)
    (here / "train").rmdir()
    assert torch.equal(all_of(load(), "test")[1], all_of(first, "test")[1])


def test_the_example_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    """Searched and trained; the file is as the page says, and the command line takes the same."""
    assert compile_main(["n.hsp", "--search", "--quiet", "--out", "run"]) == 0
    assert compile_main(["run/derived.hsp", "--train", "--quiet", "--out", "train"]) == 0
    assert compile_main(["run/derived.hsp", "--eval", "train/weights.safetensors", "--data", "folder:shapes"]) == 0
    assert "test iou: " in capsys.readouterr().out


def save(path: str, pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda place: Image.fromarray(pixels).save(place / path)


def everywhere(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    def write_each(place: Path) -> None:
        for path in (place / "train/masks").rglob("*.png"):
            Image.fromarray(change(np.array(Image.open(path)))).save(path)

    return write_each


WRONG: dict[str, tuple[Callable[[Path], object], str]] = {
    "label": (
        save("train/masks/4.png", np.where(np.arange(64).reshape(8, 8) == 21, 3, mask_of(4)).astype(np.uint8)),
        "the mask data/shapes/train/masks/4.png has a 3 in row 2, column 5, but the classes of the network are 0 to 2",
    ),
    "of 16 bits": (
        save("val/masks/6.png", np.full((8, 8), 256, np.uint16)),
        "val/masks/6.png has a 256 in row 0, colu",
    ),
    "size": (
        save("val/masks/8.png", np.zeros((8, 9), np.uint8)),
        "the mask data/shapes/val/masks/8.png is 9x8, but its image data/shapes/val/images/8.png 8x8",
    ),
    "colours": (
        save("train/masks/deep/1.png", np.zeros((8, 8, 3), np.uint8)),
        "1 of 9 images of folder cannot be used: data/shapes/train/masks/deep/1.png has pixels of the mode RGB, but",
    ),
    "missing": (
        lambda place: (place / "train/masks/deep/3.png").unlink(),
        "there is no mask in data/shapes/train/masks for data/shapes/train/images/deep/3.bmp",
    ),
    "alone": (
        lambda place: (place / "val/images/deep/7.bmp").unlink(),
        "there is no image in data/shapes/val/images for data/shapes/val/masks/deep/7.png",
    ),
    "twice": (save("train/masks/2.bmp", mask_of(2)), "2.bmp and data/shapes/train/masks/2.png have one name"),
    "folder": (lambda place: (place / "val/masks").rename("x"), "data/shapes/val has no folder 'masks'"),
    "black and white": (
        everywhere(lambda mask: np.where(mask % 255 > 0, 255, 0).astype(np.uint8)),
        'the training masks of folder(path = "shapes") have no other class than 0, where they are not ignored',
    ),
    "nothing": (everywhere(lambda mask: np.full_like(mask, 255)), "no training mask of folder"),
}


@pytest.mark.parametrize("name", WRONG)
def test_masks_that_do_not_fit(name: str, here: Path) -> None:
    change, message = WRONG[name]
    change(here)
    with pytest.raises(HspError) as refused:
        api.search("n.hsp", "run")
    (found,) = refused.value.diagnostics
    assert message in found.message
    line = 1 + NET[: NET.index('  data = folder(path = "shapes")')].count("\n")
    assert found.render().startswith(f"n.hsp:{line}:3: error[E702]: ")
    assert not Path("run/checkpoint.safetensors").exists()


def test_what_is_broken_or_absent_is_told(here: Path) -> None:
    """A damaged file is left out where that is asked for, and a class that no mask has is a warning."""
    (here / "val/masks/6.png").write_bytes(b"")
    everywhere(lambda mask: np.where(mask == 2, 1, mask))(here)
    data = load(STILL.replace("skip_broken", True))
    assert len(data.test) == 2
    left_out, absent = data.warnings
    assert left_out.endswith("data/shapes/val/masks/6.png is empty: they are left out")
    assert absent.startswith("no training mask of folder(")
    assert absent.endswith(" has the class 2")
    with pytest.raises(
        MissingDataError, match="data/none holds no images with masks: they are expected in data/none/tr"
    ):
        load(STILL.replace("path", "none"))
