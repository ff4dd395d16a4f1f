"""Samples in the height and width of a network: once for all of them where they fit in memory, else batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torchvision.transforms.v2.functional import resize_image

from .image_files import BrokenFile, ImageFiles
from .source import Batch, Pixels, Samples, Shape

IN_MEMORY = 2 * 2**30
"""The training images, and the test images, are kept in memory if they have no more bytes than this."""
AT_ONCE = 1024
"""Images that are resized at a time, so that no more of them are there twice."""


@dataclass(frozen=True)
class Resized:
    """Samples that are resized when they are read."""

    samples: Samples
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def shape(self) -> Shape:
        """The shape ``(c, h, w)`` of every image."""
        return (self.samples.shape[0], *self.size)

    @property
    def labels(self) -> Tensor:
        """The class of every image, ``[n]``."""
        return self.samples.labels

    def take(self, indices: Tensor) -> Batch:
        """Read and resize the images at ``indices``."""
        images, labels = self.samples.take(indices)
        return resize_image(images, list(self.size)), labels

    def subset(self, indices: Tensor) -> Resized:
        """The samples at ``indices``, in that order."""
        return replace(self, samples=self.samples.subset(indices))


def prepared(samples: Samples, size: tuple[int, int], memory: int = IN_MEMORY) -> tuple[Samples, list[BrokenFile]]:
    """Samples of the height and width ``size``, in memory if they need at most ``memory`` bytes; and broken files."""
    if isinstance(samples, ImageFiles):
        return samples.read(memory)
    if samples.shape[1:] == size:
        # Of images that are not contiguous, reading one would touch all of memory.
        return replace(samples, images=samples.images.contiguous()) if isinstance(samples, Pixels) else samples, []
    resized = Resized(samples, size)
    if not isinstance(samples, Pixels) or len(samples) * math.prod(resized.shape) * samples.images.itemsize > memory:
        return resized, []
    images = samples.images.new_empty(len(samples), *resized.shape)
    for indices in torch.split(torch.arange(len(samples)), AT_ONCE):
        images[indices] = resized.take(indices)[0]
    return Pixels(images, samples.labels), []
