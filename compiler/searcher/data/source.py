"""What the builder of a dataset gives: images with labels, before anything is done to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2.functional import to_image

Batch = tuple[Tensor, Tensor]
"""Images ``[n, c, h, w]`` and their labels ``[n]``."""


class Samples(Protocol):
    """Images that are read many at a time."""

    def __len__(self) -> int: ...

    def take(self, indices: Sequence[int]) -> Batch: ...


@dataclass(frozen=True)
class Pixels:
    """All images in memory, as bytes ``[n, c, h, w]``."""

    images: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: Sequence[int]) -> Batch:
        chosen = torch.as_tensor(indices)
        return self.images[chosen], self.labels[chosen]


@dataclass(frozen=True)
class Items:
    """A dataset of pairs: an image (PIL, or a tensor ``[c, h, w]``), all of one size, and the number of its class."""

    dataset: Dataset[tuple[Any, int]]

    def __len__(self) -> int:
        return len(self.dataset)  # type: ignore[arg-type]  # datasets with an index have a length

    def take(self, indices: Sequence[int]) -> Batch:
        images, labels = zip(*(self.dataset[index] for index in indices), strict=True)
        return torch.stack([_tensor(image) for image in images]), torch.tensor(labels)


def _tensor(image: Any) -> Tensor:
    return image if isinstance(image, Tensor) else to_image(image).as_subclass(Tensor)


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
