"""Image files with a mask beside each: both whole, in the height and width of a network, every mask checked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from compiler.searcher.settings.datasets import DataError

from .image_files import BrokenFile, BrokenImageError, decode, in_threads, opened
from .source import Batch, Shape, Tensors

NUMBERED = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L", "I;16N")
"""Pillow's names of the forms of images with one whole number at each pixel; of a palette these are its indices."""


@dataclass(frozen=True)
class MaskFiles:
    """Pairs of an image and its mask, read in the shape ``(c, h, w)`` and its ``[h, w]``.

    A mask has a number from 0 to below ``classes`` at each pixel, or ``ignore``.
    """

    pairs: tuple[tuple[Path, Path], ...] = field(repr=False)
    shape: Shape
    classes: int
    ignore: int

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def labels(self) -> Tensor:
        """The masks ``[n, h, w]``."""
        return self.take(torch.arange(len(self)))[1]

    def take(self, indices: Tensor) -> Batch:
        """Read the images ``[k, c, h, w]`` and masks ``[k, h, w]`` at ``indices``.

        Raises:
            DataError: when a file can no longer be read, or a mask no longer fits.
        """
        read = [self._read(self.pairs[index]) for index in indices.tolist()]
        for broken in read:
            if isinstance(broken, BrokenFile):
                raise DataError(f"{broken.path} {broken.reason}")
        images, masks = zip(*(pair for pair in read if not isinstance(pair, BrokenFile)), strict=True)
        return torch.stack(images), torch.stack(masks)

    def subset(self, indices: Tensor) -> MaskFiles:
        """The pairs at ``indices``, in that order."""
        return replace(self, pairs=tuple(self.pairs[index] for index in indices.tolist()))

    def read(self, memory: int) -> tuple[MaskFiles | Tensors, list[BrokenFile], set[int]]:
        """The pairs that can be read, in memory if they need at most ``memory`` bytes; and what was found in them.

        Every file is read once. The others found are the broken files, and the classes that occur.

        Raises:
            DataError: a mask has another size than its image, or a number that is not a class.
        """
        sizes = len(self) * math.prod(self.shape), len(self) * math.prod(self.shape[1:]) * self._type.itemsize
        count = len(self) if sum(sizes) <= memory else 0
        images = torch.empty(count, *self.shape, dtype=torch.uint8)
        masks = torch.empty(count, *self.shape[1:], dtype=self._type)
        good, broken, seen = [], [], torch.zeros(self.classes, dtype=torch.bool)
        for index, pair in enumerate(in_threads(self._read, self.pairs)):
            if isinstance(pair, BrokenFile):
                broken.append(pair)
                continue
            good.append(index)
            seen[pair[1][pair[1] != self.ignore].long()] = True
            if count:
                images[index], masks[index] = pair
        occurring = {*seen.nonzero()[:, 0].tolist()}
        kept = torch.tensor(good, dtype=torch.long)
        if not count:
            return self.subset(kept), broken, occurring
        return (Tensors(images[kept], masks[kept]) if broken else Tensors(images, masks)), broken, occurring

    @property
    def _type(self) -> torch.dtype:
        """The smallest type that holds all classes and what is ignored."""
        return torch.uint8 if max(self.classes - 1, self.ignore) < 256 else torch.int32

    def _read(self, pair: tuple[Path, Path]) -> tuple[Tensor, Tensor] | BrokenFile:
        channels, height, width = self.shape
        path = pair[0]
        try:
            image = decode(path, channels)
            path = pair[1]
            numbers = _numbers(opened(path))
        except BrokenImageError as error:
            return BrokenFile(path, str(error))
        self._check(pair, image.size, numbers)
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        pixels = np.array(image, ndmin=3) if channels == 1 else np.asarray(image).transpose(2, 0, 1)
        mask = torch.from_numpy(_nearest(numbers, height, width).astype(np.int64)).to(self._type)
        return torch.from_numpy(np.ascontiguousarray(pixels)), mask

    def _check(self, pair: tuple[Path, Path], size: tuple[int, int], numbers: NDArray[np.integer]) -> None:
        """Refuse a mask that is not of its image's ``size`` (width, height), or has a number that is not a class."""
        image, mask = pair
        if numbers.shape != size[::-1]:
            sizes = f"{numbers.shape[1]}x{numbers.shape[0]}, but its image {image} {size[0]}x{size[1]}"
            raise DataError(f"the mask {mask} is {sizes}")
        wrong = ((numbers < 0) | (numbers >= self.classes)) & (numbers != self.ignore)
        if wrong.any():
            row, column = (int(place) for place in np.argwhere(wrong)[0])
            known = f"the classes of the network are 0 to {self.classes - 1}, and {self.ignore} is ignored"
            raise DataError(f"the mask {mask} has a {numbers[row, column]} in row {row}, column {column}, but {known}")


def _numbers(image: Image.Image) -> NDArray[np.integer]:
    """The numbers ``[h, w]`` of the pixels of a mask.

    Raises:
        BrokenImageError: its pixels are not whole numbers, such as colours.
    """
    if image.mode not in NUMBERED:
        reason = f"has pixels of the mode {image.mode}, but a mask has the number of a class at each"
        raise BrokenImageError(f"{reason}: save it as grey, or with a palette")
    pixels = np.asarray(image)
    return pixels.astype(np.int64) if pixels.dtype == np.bool_ else pixels


def _nearest(numbers: NDArray[np.integer], height: int, width: int) -> NDArray[np.integer]:
    """The number nearest to the centre of each pixel of a mask of another size."""
    rows, columns = (
        ((np.arange(extent) + 0.5) * before / extent).astype(np.int64)
        for extent, before in zip((height, width), numbers.shape, strict=True)
    )
    nearest: NDArray[np.integer] = numbers[rows[:, None], columns]
    return nearest
