"""The images and labels of a dataset, before any transform."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.data import Dataset, Subset
from torchvision.transforms.v2.functional import to_image

from compiler.searcher.settings.datasets import DataError

Inputs = Tensor | tuple[Tensor, ...]
"""What a network takes: its input, or of several inputs one each, in their order."""

Batch = tuple[Any, Tensor]
"""Images ``[n, c, h, w]``, or other `Inputs`, and their labels ``[n]``, or other targets."""

Pairing = Callable[[Any, Tensor], Batch]
"""What a task of the user's own makes of the inputs and targets of a batch."""

Shape = tuple[int, ...]
"""Channels, height and width of an image; the shape of any other sample."""


def each(change: Callable[[Tensor], Tensor], inputs: Inputs) -> Inputs:
    """Something done with every input of a network."""
    return change(inputs) if isinstance(inputs, Tensor) else tuple(map(change, inputs))


def parts_of(inputs: Inputs) -> tuple[Tensor, ...]:
    """Each of the inputs."""
    return (inputs,) if isinstance(inputs, Tensor) else inputs


def real(inputs: Inputs) -> Tensor:
    """An input whose type and device weights are to have: the first of real numbers."""
    parts = parts_of(inputs)
    return next((part for part in parts if part.is_floating_point()), parts[0])


class Samples(Protocol):
    """Images of one shape with their labels, read many at a time."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> Shape:
        """The shape ``(c, h, w)`` of every image."""

    @property
    def labels(self) -> Tensor:
        """The class of every image, ``[n]``."""

    def take(self, indices: Tensor) -> Batch:
        """The images ``[k, c, h, w]`` and labels ``[k]`` at ``indices`` ``[k]``.

        Raises:
            DataError: when one of them cannot be read.
        """

    def subset(self, indices: Tensor) -> Samples:
        """The samples at ``indices``, in that order."""


@dataclass(frozen=True)
class Pixels:
    """All images in memory, as bytes ``[n, c, h, w]``, with labels ``[n]``."""

    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> Shape:
        """The shape ``(c, h, w)`` of every image."""
        return cast(Shape, tuple(self.images.shape[1:]))

    def take(self, indices: Tensor) -> Batch:
        """A copy of the images and labels at ``indices``."""
        return self.images.index_select(0, indices), self.labels.index_select(0, indices)

    def subset(self, indices: Tensor) -> Pixels:
        """A copy of the samples at ``indices``."""
        return Pixels(*self.take(indices))


@dataclass(frozen=True)
class Tensors:
    """Samples of any shape in memory, as a network takes them, with targets of any shape; both are checked."""

    inputs: Inputs = field(repr=False)
    targets: Tensor = field(repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def shape(self) -> Shape:
        """The shape of every input, of several of the first."""
        return tuple((self.inputs if isinstance(self.inputs, Tensor) else self.inputs[0]).shape[1:])

    @property
    def labels(self) -> Tensor:
        """The targets, ``[n, ...]``."""
        return self.targets

    def take(self, indices: Tensor) -> Batch:
        """A copy of the inputs and targets at ``indices``."""
        return each(lambda part: part.index_select(0, indices), self.inputs), self.targets.index_select(0, indices)

    def subset(self, indices: Tensor) -> Tensors:
        """A copy of the samples at ``indices``."""
        return Tensors(*self.take(indices))


@dataclass(frozen=True)
class Items:
    """A dataset of pairs: an image (PIL, or a tensor ``[c, h, w]``), all of one size, and the number of its class.

    It is read anew whenever an image is used, so that it may change its images at random.
    """

    dataset: Dataset[tuple[Any, int]]

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # datasets with an index have a length

    @cached_property
    def shape(self) -> Shape:
        """The shape ``(c, h, w)`` of the first image."""
        return cast(Shape, tuple(self.take(torch.tensor([0]))[0].shape[1:]))

    @cached_property
    def labels(self) -> Tensor:
        """The class of every image, ``[n]``: the dataset's ``targets`` if it has them, else by reading every pair."""
        labels: Sequence[Any] | None = getattr(self.dataset, "targets", None)
        if labels is None or len(labels) != len(self):
            labels = [self.dataset[index][1] for index in range(len(self))]
        return torch.tensor([_class(label, index) for index, label in enumerate(labels)])

    def take(self, indices: Tensor) -> Batch:
        """Read the pairs at ``indices``.

        Raises:
            DataError: when their images differ in shape, or a label is not one number.
        """
        images, labels = [], []
        for index in indices.tolist():
            image, label = self.dataset[index]
            images.append(image if isinstance(image, Tensor) else to_image(image).as_subclass(Tensor))
            labels.append(_class(label, index))
            if images[-1].shape != images[0].shape:
                sizes = f"{show(images[-1].shape)}, another of the same dataset {show(images[0].shape)}"
                raise DataError(f"image {index} is {sizes}: all images have to be of one shape")
        return torch.stack(images), torch.tensor(labels)

    def subset(self, indices: Tensor) -> Items:
        """A view of the pairs at ``indices``."""
        return Items(Subset(self.dataset, indices.tolist()))


def _class(label: Any, index: int) -> int:
    """A label as a number; several numbers are a mask, or a soft label, which no loss here takes."""
    if (shape := getattr(label, "shape", ())) and not (isinstance(label, Tensor) and label.numel() == 1):
        raise DataError(masks(tuple(shape)))
    try:
        return operator.index(label)
    except TypeError:
        raise DataError(f"image {index} has the label {label!r}, which is not a number of a class") from None


def masks(shape: Sequence[int]) -> str:
    """The sentence that refuses labels of the shape ``shape`` for each image."""
    return (
        f"each image has a label of shape {show(shape)}, such as a mask, but only one class an image is supported: "
        "a network that classifies each position is trained to give the class of the image at each"
    )


def show(shape: Sequence[int]) -> str:
    """A shape as it is written in messages, ``3x32x32``."""
    return "x".join(map(str, shape))


@dataclass(frozen=True)
class Source:
    """Two sets of samples, and what is known of their pixels (``mean`` and ``std`` of each channel in [0, 1])."""

    train: Samples
    test: Samples
    classes: int
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    fill: int = 0
    """The value, of 0..255, of what a random crop adds around an image."""
