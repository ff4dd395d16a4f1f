"""Image files as samples: each cut to the shape of a network, and read once where all of them fit in memory."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torchvision.transforms import v2

from compiler.searcher.settings.datasets import DataError

from .class_folders import LabelledFiles
from .files import obstacle, unreadable
from .source import Batch, Pixels, Samples, Shape

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name of the form of an image with so many channels."""
ZOOM = 8 / 7
"""How much larger than what is cut out of it an image is made, as is usual for ImageNet (256 for 224)."""
AT_ONCE = 1024
"""Files that are waiting for a thread at one time."""


Item = TypeVar("Item")
Found = TypeVar("Found")


class BrokenImageError(Exception):
    """A file that cannot be used as an image; the reason, as the end of a sentence."""


@dataclass(frozen=True)
class BrokenFile:
    """A file that cannot be used as an image, and why, as the end of a sentence."""

    path: Path
    reason: str


@dataclass(frozen=True)
class ImageFiles:
    """Image files in the shape of a network: cut out of the centre, or with ``random``, a random resized crop.

    A random crop draws from torch's global generator, in the process that reads the file.
    """

    files: LabelledFiles = field(repr=False)
    classes: tuple[str, ...] = field(repr=False)
    shape: Shape
    random: bool = False
    decoded: tuple[Image.Image, ...] | None = field(default=None, repr=False)
    """The image of each file in its own size, if all of them are in memory."""

    def __len__(self) -> int:
        return len(self.files.paths)

    @property
    def labels(self) -> Tensor:
        """The class of every image, ``[n]``."""
        return self.files.labels

    def take(self, indices: Tensor) -> Batch:
        """Read and cut the images at ``indices``.

        Raises:
            DataError: when a file can no longer be read.
        """
        return torch.stack([self._cut(index) for index in indices.tolist()]), self.labels[indices]

    def subset(self, indices: Tensor) -> ImageFiles:
        """The files at ``indices``, in that order."""
        decoded = None if self.decoded is None else tuple(self.decoded[index] for index in indices.tolist())
        return replace(self, files=self.files.subset(indices), decoded=decoded)

    def read(self, memory: int) -> tuple[Samples, list[BrokenFile]]:
        """The files that can be read, in memory if they need no more than ``memory`` bytes, and those that cannot.

        Every file is decoded once: what does not stay in memory, as small as its format allows.
        """
        room = _Room(memory if self.random else memory - len(self) * math.prod(self.shape))
        pixels = torch.empty(0 if self.random or room.full else len(self), *self.shape, dtype=torch.uint8)
        decoded: list[Image.Image] = []
        broken: dict[int, BrokenFile] = {}
        for index, kept in enumerate(in_threads(lambda path: self._kept(path, room), self.files.paths)):
            match kept:
                case BrokenFile():
                    broken[index] = kept
                case Tensor():
                    pixels[index] = kept
                case Image.Image():
                    decoded.append(kept)
        good = torch.tensor([index for index in range(len(self)) if index not in broken], dtype=torch.long)
        whole = replace(self, files=self.files.subset(good))
        if self.random:
            return replace(whole, decoded=None if room.full else tuple(decoded)), list(broken.values())
        if room.full:
            return whole, list(broken.values())
        return Pixels(pixels[good] if broken else pixels, whole.labels), list(broken.values())

    def _cut(self, index: int) -> Tensor:
        if self.decoded is not None:
            return self._shaped(self.decoded[index])
        path = self.files.paths[index]
        try:
            return self._shaped(decode(path, self.shape[0]))
        except BrokenImageError as error:
            raise DataError(f"{path} {error}") from None

    def _shaped(self, image: Image.Image) -> Tensor:
        _, height, width = self.shape
        image = random_resized_crop(image, height, width) if self.random else centre(image, height, width)
        pixels = np.array(image, ndmin=3) if self.shape[0] == 1 else np.asarray(image).transpose(2, 0, 1)
        return torch.from_numpy(np.ascontiguousarray(pixels))

    def _kept(self, path: Path, room: _Room) -> Image.Image | Tensor | BrokenFile | None:
        """The image of a file as it is kept in memory; None where there is no room for it."""
        try:
            if room.full:
                decode(path, self.shape[0], smallest=True)
                return None
            image = decode(path, self.shape[0])
            kept = image if self.random else self._shaped(image)
        except BrokenImageError as error:
            return BrokenFile(path, str(error))
        if self.random:
            room.take(image.width * image.height * self.shape[0])
        return kept


def check_classes(before: Samples, after: Samples) -> None:
    """Refuse image files of which a class is left without any, since those of it are broken.

    Raises:
        DataError: with the name of the class.
    """
    if isinstance(before, ImageFiles):
        for label in sorted({*before.labels.tolist()} - {*after.labels.tolist()}):
            raise DataError(f"no image of the class '{before.classes[label]}' can be used: all of them are broken")


def absent_classes(train: Samples, test: Samples) -> tuple[str, ...]:
    """A warning about classes that one part of a folder has and the other lacks, as where a class has one image."""
    warnings = []
    if isinstance(train, ImageFiles) and isinstance(test, ImageFiles):
        for word, here, there in (("training", train, test), ("test", test, train)):
            missing = sorted({*there.labels.tolist()} - {*here.labels.tolist()})
            names = ", ".join(f"'{train.classes[label]}'" for label in missing[:3])
            more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
            if missing:
                warnings.append(f"no {word} image is of the class {names}{more}")
    return tuple(warnings)


class _Room:
    """Memory that is left for images, in bytes; threads take from it."""

    def __init__(self, left: int) -> None:
        self.left, self.lock = left, Lock()

    @property
    def full(self) -> bool:
        """Whether more was taken than there was: then nothing is to stay in memory."""
        return self.left < 0

    def take(self, size: int) -> None:
        """Have ``size`` bytes less."""
        with self.lock:
            self.left -= size


def in_threads(read: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """What ``read`` makes of each item, in their order; Pillow decodes without the interpreter's lock."""
    Image.init()  # All formats are registered before several threads look for them.
    waiting = iter(items)
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 16)) as threads:
        while some := list(islice(waiting, AT_ONCE)):
            yield from threads.map(read, some)


def decode(path: Path, channels: int, smallest: bool = False) -> Image.Image:
    """An image of bytes with 1, 3 or 4 channels; with ``smallest``, in the smallest size that its format decodes to.

    Raises:
        BrokenImageError: it cannot be read, its pixels have no known range, or it lacks the alpha that 4 channels need.
    """
    return _in_mode(opened(path, smallest), MODES[channels])


def opened(path: Path, smallest: bool = False) -> Image.Image:
    """The image of a file with the pixels that it has.

    Raises:
        BrokenImageError: it cannot be read.
    """
    if why := obstacle(path):
        raise BrokenImageError(why)
    try:
        with path.open("rb") as file:
            image = Image.open(file)
            if smallest:
                image.draft(None, (1, 1))
            image.load()
    except UnidentifiedImageError:
        raise BrokenImageError("is not an image of a known format" if path.stat().st_size else "is empty") from None
    except Image.DecompressionBombError:
        raise BrokenImageError(f"has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except OSError as error:
        raise BrokenImageError(unreadable(error) if error.errno else f"is damaged: {error}") from None
    except Exception as error:  # The parsers of Pillow raise anything at all on damage.
        raise BrokenImageError(f"is damaged: {error or type(error).__name__}") from None
    return image


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    """The image with the channels of ``mode``, its pixels scaled from the range of their type to 0..255."""
    transparent = image.has_transparency_data
    if mode == "RGBA" and not transparent:
        raise BrokenImageError(f"has no alpha ({image.mode}), but the network takes 4 channels")
    # A PNG or PGM of 16 bits has the mode "I" in some versions of Pillow; elsewhere "I" is 32 bits.
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):
        image = Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))
    elif image.mode in ("I", "F"):
        pixels = "whole numbers of 32 bits" if image.mode == "I" else "floating-point numbers"
        raise BrokenImageError(
            f"has {pixels} as pixels, of which black and white are not known: save it with 8 or 16 bits"
        )
    elif image.mode == "P" and transparent:
        image = image.convert("RGBA")
    try:
        return image if image.mode == mode else image.convert(mode)
    except ValueError:
        raise BrokenImageError(f"has the mode {image.mode}, which cannot be converted to {mode}") from None


def centre(image: Image.Image, height: int, width: int) -> Image.Image:
    """The centre of an image: made 8/7 as high and wide as asked for, or more on one side, and cut on all.

    An image that has this size is taken as it is.
    """
    if image.size == (width, height):
        return image
    high, wide = round(height * ZOOM), round(width * ZOOM)
    if high * image.width >= wide * image.height:
        size = (int(high * image.width / image.height), high)
    else:
        size = (wide, int(wide * image.height / image.width))
    image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
    return image.crop((left, top, left + width, top + height))


def random_resized_crop(image: Image.Image, height: int, width: int) -> Image.Image:
    """A rectangle of 8% to 100% of the image at a random place, resized (Szegedy et al., "Going Deeper with
    Convolutions", 2015); its sides are as those of the network's input, times 3/4 to 4/3."""
    cut: Image.Image = _crop(height, width)(image)
    return cut


@lru_cache
def _crop(height: int, width: int) -> v2.RandomResizedCrop:
    ratio = width / height
    return v2.RandomResizedCrop((height, width), ratio=(3 / 4 * ratio, 4 / 3 * ratio))
