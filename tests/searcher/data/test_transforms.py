"""The random changes to a batch of images, and from bytes to what a network takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

from compiler.searcher.data.load import load_data
from compiler.searcher.data.transforms import (
    ColourJitter,
    CropAndFlip,
    Cutout,
    Finish,
    brightness,
    contrast,
    hue,
    saturation,
)
from compiler.searcher.settings.datasets import Cifar10, Digits, Fake
from tests.support.datasets import cifar, everything


def test_a_crop_pads_with_128_before_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    mean, std = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])
    torch.manual_seed(0)
    images, _ = everything(load_data(Cifar10(crop=40, flip=False), tmp_path), "train")
    corner = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corner - ((128 / 255 - mean) / std).view(3, 1)).abs().amax(1).lt(1e-6).any(1).all()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_every_crop_is_a_window_of_the_padded_image(flip: bool, kind: torch.dtype) -> None:
    torch.manual_seed(0)
    scale = 1 if kind is torch.uint8 else 255
    image = torch.arange(3 * 5 * 6).to(kind).view(3, 5, 6) / scale
    padded = functional.pad(image, [2] * 4, value=200 / scale)
    windows = {tuple(padded[:, y : y + 5, x : x + 6].flatten().tolist()) for y in range(5) for x in range(5)}
    if flip:
        mirrored = padded.flip(-1)
        windows |= {tuple(mirrored[:, y : y + 5, x : x + 6].flatten().tolist()) for y in range(5) for x in range(5)}
    cut = CropAndFlip(2, 200, flip)(image.to(kind).expand(1000, -1, -1, -1))
    assert {tuple(one.flatten().tolist()) for one in cut} == windows


def test_half_of_the_images_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.arange(6).view(1, 1, 2, 3).expand(1000, -1, -1, -1)
    changed = CropAndFlip(flip=True)(images)
    mirrored, unchanged = ((changed == one).flatten(1).all(1) for one in (images.flip(-1), images))
    assert 400 < mirrored.sum() < 600
    assert (mirrored ^ unchanged).all()


@pytest.mark.parametrize("side", [1, 4, 5, 16])
def test_cutout_is_a_clipped_square_around_a_pixel(side: int) -> None:
    torch.manual_seed(0)
    holes = Cutout(side)(torch.ones(2000, 3, 8, 9)) == 0
    assert holes.equal(holes[:, :1].expand(-1, 3, -1, -1))
    rows, columns = holes[:, 0].any(2), holes[:, 0].any(1)
    assert holes[:, 0].equal(rows.unsqueeze(2) & columns.unsqueeze(1))

    def spans(length: int) -> set[tuple[bool, ...]]:
        starts = [centre - side // 2 for centre in range(length)]
        return {tuple(start <= at < start + side for at in range(length)) for start in starts}

    assert {tuple(row.tolist()) for row in rows} == spans(8)
    assert {tuple(column.tolist()) for column in columns} == spans(9)


def test_cutout_is_zero_after_normalisation_and_spares_the_test_set() -> None:
    torch.manual_seed(0)
    data = load_data(Digits(cutout=4), Path(), input_shape=(3, 8, 8))
    assert (everything(data, "train")[0] == 0).all(1).flatten(1).sum(1).min() >= 4
    assert not (everything(data)[0] == 0).any()


def in_turn(images: Tensor, padding: int, fill: int) -> Tensor:
    """A crop, a flip and a normalisation, one after the other, as the runs before these were fused took them."""
    count, _, height, width = images.shape
    offsets = torch.randint(2 * padding + 1, (2, count, 1))
    padded = functional.pad(images, [padding] * 4, value=fill)
    cut = torch.stack([
        one[:, y : y + height, x : x + width]
        for one, y, x in zip(padded, offsets[0, :, 0].tolist(), offsets[1, :, 0].tolist(), strict=True)
    ])  # fmt: skip
    mirrored = torch.rand(count) < 0.5
    cut = torch.where(mirrored.view(-1, 1, 1, 1), cut.flip(-1), cut)
    finish = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4])])
    finished: Tensor = finish(cut)
    return finished


def test_a_seed_changes_images_as_it_always_has() -> None:
    """To the bit, so that a run repeats one of an earlier version."""
    images = torch.randint(0, 256, (64, 3, 12, 10), dtype=torch.uint8)
    finish = Finish(3, (0.5, 0.4, 0.3), (0.2, 0.3, 0.4), (CropAndFlip(3, 77, True),), Cutout(4))
    torch.manual_seed(1)
    found = finish(images)
    torch.manual_seed(1)
    expected = in_turn(images, 3, 77)
    rows, columns = torch.randint(12, (64, 1)), torch.randint(10, (64, 1))
    for image, row, column in zip(expected, rows.flatten().tolist(), columns.flatten().tolist(), strict=True):
        image[:, max(row - 2, 0) : max(row + 2, 0), max(column - 2, 0) : max(column + 2, 0)] = 0
    assert found.equal(expected)
    after = torch.rand(3)
    torch.manual_seed(1)
    finish(images)
    assert torch.rand(3).equal(after)


def test_images_change_on_the_device_and_are_drawn_on_the_cpu() -> None:
    """On torch's `meta` device, tensors have shapes and no values: nothing here waits for one."""
    finish = Finish(3, (0.5,) * 3, (0.2,) * 3, (ColourJitter(0.4), CropAndFlip(1, 0, True)), Cutout(2))
    images = torch.randint(0, 256, (8, 3, 6, 5), dtype=torch.uint8)
    put: list[Tensor] = []

    def to_meta(tensor: Tensor) -> Tensor:
        put.append(tensor)
        return tensor.to("meta")

    torch.manual_seed(0)
    found = finish(images.to("meta"), to_meta)
    assert (found.device.type, found.shape, found.dtype) == ("meta", (8, 3, 6, 5), torch.float32)
    after = torch.rand(3)
    assert all(tensor.device.type == "cpu" for tensor in put)
    torch.manual_seed(0)
    finish(images)
    assert torch.rand(3).equal(after)


def test_floats_are_taken_as_they_are() -> None:
    images = torch.rand(4, 1, 3, 3)
    before = images.clone()
    assert Finish(2, (0.5,), (0.25,))(images).equal(((before - 0.5) / 0.25).expand(-1, 2, -1, -1))
    assert images.equal(before)
    assert Finish(1)(images).equal(images)


# Colours


@pytest.mark.parametrize(("change", "reference", "amounts"), [
    (brightness, v2.functional.adjust_brightness, (0.0, 0.6, 1.0, 1.4)),
    (contrast, v2.functional.adjust_contrast, (0.0, 0.6, 1.0, 1.4)),
    (saturation, v2.functional.adjust_saturation, (0.0, 0.6, 1.0, 1.4)),
    (hue, v2.functional.adjust_hue, (-0.5, -0.2, 0.0, 0.2, 0.5)),
])  # fmt: skip
def test_a_change_of_colours_is_torchvisions_with_an_amount_for_each_image(
    change: Callable[[Tensor, Tensor], Tensor],
    reference: Callable[[Tensor, float], Tensor],
    amounts: tuple[float, ...],
) -> None:
    torch.manual_seed(0)
    images = torch.rand(3, 3, 7, 5)
    images[0, :, 0, 0] = 0.25  # grey, which has no hue
    images[0, :, 0, 1] = torch.tensor([0.5, 0.5, 0.1])  # two channels are the highest
    several = images[:1].expand(len(amounts), -1, -1, -1)
    changed = change(several, torch.tensor(amounts).view(-1, 1, 1, 1)).clamp(0, 1)
    expected = torch.stack([reference(images[0], amount) for amount in amounts])
    torch.testing.assert_close(changed, expected, rtol=0, atol=2e-3)


def test_jitter_changes_each_image_in_its_own_way_within_its_range() -> None:
    torch.manual_seed(0)
    images = torch.tensor([200, 100, 50], dtype=torch.uint8).view(1, 3, 1, 1).expand(500, -1, 2, 2)
    changed = ColourJitter(0.4)(images)
    assert changed.dtype == torch.uint8
    assert len({tuple(colour) for colour in changed[:, :, 0, 0].tolist()}) > 450
    grey = torch.full((500, 1, 2, 2), 100, dtype=torch.uint8)
    levels = ColourJitter(0.4)(grey)
    assert (int(levels.min()), int(levels.max())) == (60, 140)  # The contrast of one colour is none.
    assert ColourJitter(0.0)(images).equal(images)


def test_jitter_leaves_alpha_alone() -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (20, 4, 5, 5), dtype=torch.uint8)
    changed = ColourJitter(0.4)(images)
    assert changed[:, 3].equal(images[:, 3])
    assert not changed[:, :3].equal(images[:, :3])


def test_the_order_of_the_changes_differs_between_images() -> None:
    """Brightness and contrast of a black and white image do not commute."""
    torch.manual_seed(0)
    images = torch.tensor([[0, 255]], dtype=torch.uint8).expand(2000, 1, 1, 2)
    dark, light = ColourJitter(0.9)(images).float().flatten(1).unbind(1)
    # Their mean stays where it is made brighter and then clipped before its contrast is lowered: of 2000 images, 1000
    # if brightness always came first, 500 if contrast did.
    assert 600 < ((dark + light - 255).abs() <= 1).sum() < 900


def test_changes_depend_on_the_global_generator_alone() -> None:
    data = load_data(Fake(crop=2, flip=True, cutout=8), Path())
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(everything(data, "train")[0])
    assert runs[0].equal(runs[1])
    assert not everything(data, "train")[0].equal(runs[0])
    assert everything(data)[0].equal(everything(data)[0])
