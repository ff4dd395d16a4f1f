"""Random changes to the images of a batch, other ones for each image, and the step from bytes to what a network takes.

Random numbers are drawn from torch's global generator on the CPU, whichever device the images are on: a run draws the
same ones everywhere. ``put`` brings them to that device.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2.functional import to_dtype_image

Put = Callable[[Tensor], Tensor]
"""Copies a tensor to the device of a network."""


def stay(tensor: Tensor) -> Tensor:
    """Leaves a tensor on its device."""
    return tensor


class Augmentation(Protocol):
    """A random change to images ``[n, c, h, w]`` that keeps their shape and type."""

    def __call__(self, images: Tensor, put: Put = stay) -> Tensor:
        """The changed images; random numbers are drawn on the CPU and copied by ``put``."""


@dataclass(frozen=True)
class CropAndFlip:
    """Pads each image by ``padding`` pixels of ``fill`` (of 0..255) on every side, cuts its size out again at a random
    place, and with ``flip`` mirrors it with probability one half."""

    padding: int = 0
    fill: int = 0
    flip: bool = False

    def __call__(self, images: Tensor, put: Put = stay) -> Tensor:
        """Cut and mirror images ``[n, c, h, w]``."""
        (moved,) = self.moved_together((images, self.fill / 255 if images.is_floating_point() else self.fill), put=put)
        return moved

    def moved_together(self, *parts: tuple[Tensor, float], put: Put = stay) -> tuple[Tensor, ...]:
        """Tensors ``[n, c, h, w]`` cut and mirrored in the same way, each with the value that pads it.

        Every pixel is gathered from its old place in one call.
        """
        count, _, height, width = parts[0][0].shape
        rows, columns = torch.arange(height).expand(count, -1), torch.arange(width).expand(count, -1)
        if self.padding:
            offsets = torch.randint(2 * self.padding + 1, (2, count, 1))
            rows, columns = rows + offsets[0], columns + offsets[1]
        if self.flip:
            columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
        places = put(rows * (width + 2 * self.padding)).unsqueeze(2) + put(columns).unsqueeze(1)
        return tuple(self._gathered(images, fill, places) for images, fill in parts)

    def _gathered(self, images: Tensor, fill: float, places: Tensor) -> Tensor:
        """The pixels ``[n, c, h, w]`` at ``places`` ``[n, h, w]`` of the padded images."""
        if self.padding:
            images = functional.pad(images, [self.padding] * 4, value=fill)
        flat = images.flatten(2)
        gathered = flat.gather(2, places.flatten(1).unsqueeze(1).expand(-1, flat.shape[1], -1))
        return gathered.view(*flat.shape[:2], *places.shape[1:])


@dataclass(frozen=True)
class WithMasks:
    """Cuts and mirrors images and their masks in the same way; a crop pads masks with the class ``ignore``."""

    ignore: int
    move: CropAndFlip | None = None

    def __call__(self, images: Tensor, masks: Tensor, put: Put = stay) -> tuple[Tensor, Tensor]:
        """Images of bytes ``[n, c, h, w]`` and the classes ``[n, h, w]`` of masks of any whole numbers."""
        masks = masks.long()
        if self.move is None:
            return images, masks
        images, moved = self.move.moved_together((images, self.move.fill), (masks.unsqueeze(1), self.ignore), put=put)
        return images, moved.squeeze(1)


@dataclass(frozen=True)
class Cutout:
    """Sets a square of ``side`` pixels of each image to zero (DeVries and Taylor, arXiv 1708.04552).

    Its centre is any pixel of the image; what lies outside the image is clipped.
    """

    side: int

    def __call__(self, images: Tensor, put: Put = stay) -> Tensor:
        """Cut a square out of each of the images ``[n, c, h, w]``."""
        count, _, height, width = images.shape
        rows = put(self._covered(height, count)).view(count, 1, height, 1)
        columns = put(self._covered(width, count)).view(count, 1, 1, width)
        return images.masked_fill(rows & columns, 0)

    def _covered(self, length: int, count: int) -> Tensor:
        offset = torch.arange(length) - (torch.randint(length, (count, 1)) - self.side // 2)
        return (offset >= 0) & (offset < self.side)


@dataclass(frozen=True)
class ColourJitter:
    """Changes the brightness, contrast, saturation and hue of bytes, in a random order (Krizhevsky et al., 2012).

    The first three are multiplied by 1 - ``strength`` to 1 + ``strength``, the hue is turned by up to a half of
    ``strength`` of a full turn either way. Of a grey image, brightness and contrast change; alpha never does.
    """

    strength: float

    def __call__(self, images: Tensor, put: Put = stay) -> Tensor:
        """Change the colours of images of bytes ``[n, c, h, w]``."""
        count, channels = images.shape[:2]
        changes = (brightness, contrast, saturation, hue)
        amounts = torch.empty(len(changes), count).uniform_(-self.strength, self.strength)
        turns = torch.rand(count, len(changes)).argsort(1)
        amounts = put(torch.cat([1 + amounts[:3], amounts[3:] / 2])).view(len(changes), count, 1, 1, 1)
        colours = images[:, :3] if channels >= 3 else images[:, :1]
        colours = colours.float() / 255
        for turn in range(len(changes)):
            for which, change in enumerate(changes[: 2 if channels < 3 else None]):
                chosen = put((turns[:, turn] == which).nonzero()[:, 0])
                changed = change(colours.index_select(0, chosen), amounts[which].index_select(0, chosen))
                colours = colours.index_copy(0, chosen, changed.clamp(0, 1))
        return torch.cat([(colours * 255).round().to(images.dtype), images[:, colours.shape[1] :]], 1)


def brightness(images: Tensor, factor: Tensor) -> Tensor:
    """Images ``[n, c, h, w]`` in [0, 1], black at a ``factor`` ``[n, 1, 1, 1]`` of 0."""
    return images * factor


def contrast(images: Tensor, factor: Tensor) -> Tensor:
    """Images ``[n, c, h, w]`` in [0, 1], the mean of their luma at a ``factor`` ``[n, 1, 1, 1]`` of 0."""
    return torch.lerp(luma(images).mean((1, 2, 3), keepdim=True), images, factor)


def saturation(images: Tensor, factor: Tensor) -> Tensor:
    """Images ``[n, 3, h, w]`` in [0, 1], grey at a ``factor`` ``[n, 1, 1, 1]`` of 0."""
    return torch.lerp(luma(images), images, factor)


def hue(images: Tensor, turn: Tensor) -> Tensor:
    """Images ``[n, 3, h, w]`` in [0, 1], whose hue in HSV is turned by ``turn`` ``[n, 1, 1, 1]`` of a full circle."""
    red, green, blue = images.unbind(1)
    value, lowest = images.amax(1), images.amin(1)
    spread = value - lowest
    divisor = torch.where(spread > 0, spread, 1)
    sixth = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, (blue - red) / divisor + 2, (red - green) / divisor + 4),
    )
    sixth = sixth + 6 * turn.squeeze(1)
    at = torch.stack([sixth + 5, sixth + 3, sixth + 1], 1).remainder(6)
    return value.unsqueeze(1) - spread.unsqueeze(1) * torch.minimum(at, 4 - at).clamp(0, 1)


def luma(images: Tensor) -> Tensor:
    """The brightness ``[n, 1, h, w]`` of images, by the weights of ITU-R BT.601; of grey images, themselves."""
    if images.shape[1] == 1:
        return images
    weights = constants((0.299, 0.587, 0.114), images.device)
    return (images * weights).sum(1, keepdim=True)


@dataclass(frozen=True)
class Finish:
    """From a batch of bytes to the input of a network: augmented, scaled to [0, 1], normalised, in its channels.

    Mean and standard deviation are those of each channel of the images, in [0, 1]; none: images stay in [0, 1].
    """

    channels: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    augmentations: tuple[Augmentation, ...] = ()
    cutout: Cutout | None = None

    def __call__(self, images: Tensor, put: Put = stay) -> Tensor:
        """Images ``[n, c, h, w]`` of bytes, or of floats in [0, 1], as floats ``[n, channels, h, w]``."""
        for augment in self.augmentations:
            images = augment(images, put)
        floats: Tensor = to_dtype_image(images, torch.float32, scale=True)
        if self.mean and self.std:
            mean, std = constants(self.mean, floats.device), constants(self.std, floats.device)
            floats = floats.sub(mean).div_(std)
        if self.cutout:
            floats = self.cutout(floats, put)
        # Grey is repeated last: the same changes to three equal channels would be the same work three times.
        return floats if floats.shape[1] == self.channels else floats.expand(-1, self.channels, -1, -1).contiguous()


@dataclass(frozen=True)
class Plain:
    """Inputs that are numbers already, as a network takes them; ``changes`` are those of training images."""

    changes: tuple[Augmentation, ...] = ()

    def __call__(self, inputs: Tensor, put: Put = stay) -> Tensor:
        """Inputs ``[n, ...]`` of the same shape."""
        for change in self.changes:
            inputs = change(inputs, put)
        return inputs


@lru_cache(maxsize=64)
def constants(values: tuple[float, ...], device: torch.device) -> Tensor:
    """Numbers of each channel as a tensor ``[c, 1, 1]``; kept, since a copy to a GPU would wait for it each time."""
    return torch.tensor(values, device=device).view(-1, 1, 1)
