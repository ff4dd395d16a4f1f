"""Image files of a folder: channels, ranges of pixels, how an image is cut for a network, and what stays in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from compiler.searcher.data import DataError
from compiler.searcher.data.image_files import ImageFiles
from compiler.searcher.data.load import load_data
from compiler.searcher.data.resolution import prepared
from compiler.searcher.data.source import Pixels
from compiler.searcher.settings.datasets import Folder
from tests.support.datasets import IMAGENET_MEAN, IMAGENET_STD, everything, folder, levels

PLAIN = Folder(flip=False, jitter=0.0, crop=1)


def save(root: Path, image: Image.Image, ending: str = "png", parts: tuple[str, ...] = ("train", "val")) -> None:
    """The same image once in each of two classes of each part."""
    for part in parts:
        for name in ("a", "b"):
            place = root / part / name
            place.mkdir(parents=True, exist_ok=True)
            image.save(place / f"0.{ending}")


def test_folder(tmp_path: Path) -> None:
    folder(tmp_path / "pets", {"train": (50, 40), "val": (30, 60)})
    data = load_data(Folder(path="pets"), tmp_path, input_shape=(3, 16, 16))
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 4, 2, (3, 16, 16))
    images, labels = everything(data)
    assert labels.tolist() == [0, 0, 1, 1]
    expected = (torch.tensor([80, 100, 10]) / 255 - IMAGENET_MEAN) / IMAGENET_STD
    torch.testing.assert_close(images[3, :, 8, 8], expected)
    torch.manual_seed(0)
    changed, again = everything(data, "train")[0], everything(data, "train")[0]
    assert changed.shape == (4, 3, 16, 16)
    assert not changed.equal(again)
    assert load_data(Folder(path="pets"), tmp_path).shape == (3, 224, 224)
    assert load_data(Folder(path="pets", size=20, crop=2), tmp_path).shape == (3, 20, 20)
    assert load_data(Folder(path="pets", jitter=0), tmp_path, input_shape=(3, 8, 12)).train[0][0].shape == (3, 8, 12)


# Pixels and channels

RAMP = np.linspace(0, 1, 28 * 28).reshape(28, 28)


@pytest.mark.parametrize(("image", "ending"), [
    (Image.fromarray((RAMP * 255).round().astype("uint8")), "png"),
    (Image.fromarray((RAMP * 65535).astype("uint16")), "png"),
    (Image.fromarray((RAMP * 65535).astype("uint16")), "tif"),
    (Image.fromarray((RAMP * 65535).astype("uint16")), "pgm"),
    (Image.fromarray((RAMP * 255).round().astype("uint8")).convert("P"), "png"),
    (Image.fromarray((RAMP * 255).round().astype("uint8")).convert("LA"), "png"),
    (Image.fromarray((RAMP * 255).round().astype("uint8")).convert("CMYK"), "tif"),
], ids=["png8", "png16", "tiff16", "pgm16", "palette", "grey-alpha", "cmyk"])  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_scaled_by_the_range_of_their_type(
    image: Image.Image, ending: str, channels: int, tmp_path: Path
) -> None:
    save(tmp_path, image, ending)
    found = levels(load_data(PLAIN, tmp_path, input_shape=(channels, 28, 28)))[0]
    assert (found - torch.from_numpy(RAMP * 255)).abs().max() <= 1


@pytest.mark.parametrize(("kind", "pixels"), [
    ("float32", "floating-point numbers"), ("int32", "whole numbers of 32 bits"),
])  # fmt: skip
def test_pixels_of_no_known_range_are_refused_by_name(kind: str, pixels: str, tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray((RAMP * 255).astype("uint8")))
    wrong = tmp_path / "val" / "b" / "1.tif"
    Image.fromarray(RAMP.astype(kind)).save(wrong)
    with pytest.raises(DataError) as refused:
        load_data(Folder(), tmp_path, input_shape=(3, 28, 28))
    assert str(refused.value) == (
        f"1 of 5 images of folder cannot be used: {wrong} has {pixels} as pixels, of which black and white are not "
        "known: save it with 8 or 16 bits; `skip_broken = true` leaves them out"
    )


def test_channels_follow_from_the_network(tmp_path: Path) -> None:
    save(tmp_path, Image.new("RGBA", (8, 8), (250, 100, 50, 128)))
    grey = round(0.299 * 250 + 0.587 * 100 + 0.114 * 50)
    for channels, expected in ((1, [grey]), (3, [250, 100, 50]), (4, [250, 100, 50, 128])):
        data = load_data(PLAIN, tmp_path, input_shape=(channels, 8, 8))
        assert data.shape == (channels, 8, 8)
        assert levels(data)[0, :, 4, 4].tolist() == expected
        assert load_data(Folder(), tmp_path, input_shape=(channels, 8, 8)).train[0][0].shape == (channels, 8, 8)
    with pytest.raises(DataError, match=r"^the images of a folder have 1 \(grey\), 3 .* but the network takes 2$"):
        load_data(PLAIN, tmp_path, input_shape=(2, 8, 8))


def test_alpha_is_not_invented(tmp_path: Path) -> None:
    save(tmp_path, Image.new("RGBA", (8, 8)))
    Image.new("RGB", (8, 8)).save(tmp_path / "train" / "b" / "1.png")
    with pytest.raises(DataError, match=r"b/1.png has no alpha \(RGB\), but the network takes 4 channels"):
        load_data(PLAIN, tmp_path, input_shape=(4, 8, 8))


# Shapes

BARS = np.repeat(np.array([0, 80, 160, 240], "uint8"), 16)[None].repeat(16, 0)


@pytest.mark.parametrize("spec", [PLAIN, PLAIN.replace("crop", 0)], ids=["crop", "random resized crop"])
def test_an_image_that_fits_a_network_that_is_not_square_is_taken_as_it_is(spec: Folder, tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(BARS))
    data = load_data(spec, tmp_path, input_shape=(3, 16, 64))
    assert levels(data)[0].equal(torch.from_numpy(BARS).int().expand(3, -1, -1))


def circle(width: int, height: int, radius: float | None = None) -> Image.Image:
    """A white disc in the middle, of 0.6 times the shorter side, or of another radius."""
    y, x = np.ogrid[:height, :width]
    radius = 0.3 * min(width, height) if radius is None else radius
    inside = (x - width / 2 + 0.5) ** 2 + (y - height / 2 + 0.5) ** 2 < radius**2
    return Image.fromarray((inside * 255).astype("uint8"))


@pytest.mark.parametrize("size", [(40, 40), (160, 40), (40, 160), (61, 47)])
@pytest.mark.parametrize(("height", "width"), [(16, 64), (64, 16), (32, 32)])
def test_circles_stay_circles(size: tuple[int, int], height: int, width: int, tmp_path: Path) -> None:
    """Whatever the sides of the image and of the network, the aspect ratio is kept."""
    save(tmp_path, circle(*size))
    white = levels(load_data(PLAIN, tmp_path, input_shape=(1, height, width)))[0, 0] > 127
    radius = 0.3 * min(size) * max(height * 8 / 7 / size[1], width * 8 / 7 / size[0])
    expected = torch.from_numpy(np.asarray(circle(width, height, radius)) > 127)
    assert (white != expected).float().mean() < 0.06


def test_a_square_is_cut_as_torchvision_cuts_it_for_imagenet(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    for size, image in enumerate(
        [Image.fromarray(pixels), Image.fromarray(pixels).transpose(Image.Transpose.ROTATE_90)]
    ):
        save(tmp_path / str(size), image)
        cut = v2.Compose([v2.Resize(37), v2.CenterCrop(32), v2.PILToTensor()])(image)
        found = levels(load_data(PLAIN.replace("path", str(size)), tmp_path, input_shape=(3, 32, 32)))[0]
        assert found.equal(cut.int())


def test_random_crops_are_those_of_torchvision(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (50, 71, 3), dtype=np.uint8)
    save(tmp_path, Image.fromarray(pixels))
    data = load_data(PLAIN.replace("crop", 0), tmp_path, input_shape=(3, 32, 32))
    torch.manual_seed(5)
    found = levels(data, "train")
    torch.manual_seed(5)
    cut = v2.Compose([v2.RandomResizedCrop(32), v2.PILToTensor()])
    assert found.equal(torch.stack([cut(Image.fromarray(pixels)) for _ in range(2)]).int())


def test_random_crops_have_the_aspect_ratio_of_the_network(tmp_path: Path) -> None:
    """A crop is at most 4/3 wider or higher than the network's input; a disc is never stretched more than that."""
    save(tmp_path, circle(256, 256))
    data = load_data(PLAIN.replace("crop", 0), tmp_path, input_shape=(1, 16, 64))
    torch.manual_seed(0)
    for _ in range(40):
        white = levels(data, "train")[0, 0] > 127
        high, wide = int(white.any(1).sum()), int(white.any(0).sum())
        if high < 16 and wide < 64 and not white[[0, -1]].any() and not white[:, [0, -1]].any() and high > 6:
            assert 0.6 < high / wide < 1.67


def test_a_training_image_of_a_folder_is_a_crop_of_it(tmp_path: Path) -> None:
    save(tmp_path, Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), 16, axis=1).repeat(32, axis=0)))

    def spread(spec: Folder) -> float:
        """How far apart the shares of the light half are that training images show."""
        torch.manual_seed(0)
        data = load_data(spec, tmp_path, input_shape=(3, 16, 16))
        shares = torch.cat([everything(data, "train")[0].gt(0).float().mean((1, 2, 3)) for _ in range(10)])
        return (shares.max() - shares.min()).item()

    assert spread(PLAIN.replace("crop", 0)) > 0.3
    assert spread(PLAIN) < 0.15


# Memory


@pytest.mark.parametrize("random", [False, True], ids=["centre", "random"])
def test_images_are_the_same_in_memory_and_from_files(random: bool, tmp_path: Path) -> None:
    folder(tmp_path, {"train": (20, 30), "val": (20, 30)})
    for path in tmp_path.glob("train/*/*.png"):
        pixels = np.random.default_rng(int(path.stem)).integers(0, 256, (30, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    source = load_data(PLAIN.replace("crop", int(not random)), tmp_path, input_shape=(3, 8, 8)).train.samples
    files = load_data(Folder(), tmp_path, input_shape=(3, 8, 8)).train.samples
    assert isinstance(files, ImageFiles)
    files = ImageFiles(files.files, files.classes, files.shape, random)
    size = 4 * 3 * (20 * 30 if random else 8 * 8)
    results = []
    for limit in (size, size - 1):
        samples, broken = prepared(files, (8, 8), limit)
        assert broken == []
        assert isinstance(samples, Pixels | ImageFiles)
        assert (isinstance(samples, Pixels) or samples.decoded is not None) == (limit == size)
        torch.manual_seed(0)
        results.append(samples.take(torch.arange(4)))
    torch.manual_seed(0)
    results.append(source.take(torch.arange(4)))
    assert all(one[0].equal(results[0][0]) and one[1].equal(results[0][1]) for one in results)


def test_files_are_read_once_where_they_fit_in_memory(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    both = [load_data(spec, tmp_path, input_shape=(3, 8, 8)) for spec in (PLAIN, Folder())]
    for path in tmp_path.glob("*/*/*.png"):
        path.unlink()
    for data in both:
        assert everything(data, "train")[0].shape == everything(data, "test")[0].shape == (4, 3, 8, 8)
