"""From a `DataSpec` to images: loaded, shaped for a network, normalised and augmented a batch at a time.

The images of a batch go through, in this order: resize, random crop (padded as the dataset says), mirror, [0, 1],
mean and standard deviation, grey repeated to the channels of the network, cutout. Test images take no random step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch.utils.data import DataLoader, Dataset, Subset
from torchvision.transforms import v2

from compiler.searcher.settings.datasets import DataError, DataSpec

from .builtin import build
from .source import Batch, Samples, Source
from .transforms import Cutout, RandomMirror, RandomShift, RepeatChannels

Shape = tuple[int, int, int]


class Images(Dataset[Batch]):
    """Samples as a network takes them; a loader reads a batch of them at once."""

    def __init__(self, samples: Samples, transform: v2.Compose, positions: tuple[int, ...] = ()) -> None:
        self.samples, self.transform, self.positions = samples, transform, positions

    def everywhere(self, positions: tuple[int, ...]) -> Images:
        """With a label at each position."""
        return Images(self.samples, self.transform, positions)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Batch:
        images, labels = self.__getitems__([index])
        return images[0], labels[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        images, labels = self.samples.take(indices)
        labels = labels.view(-1, *(1 for _ in self.positions)).expand(-1, *self.positions)
        return self.transform(images), labels


@dataclass(frozen=True)
class Data:
    """A dataset ready for a network: ``train`` with random changes, ``test`` without; ``shape`` is an image's."""

    name: str
    train: Images
    test: Images
    classes: int
    shape: Shape

    def everywhere(self, positions: tuple[int, ...]) -> Data:
        """The same for a network that classifies each position: each has the label of its image."""
        return replace(self, train=self.train.everywhere(positions), test=self.test.everywhere(positions))


def load_data(spec: DataSpec, root: Path, *, download: bool = False, input_shape: Shape | None = None) -> Data:
    """The images of ``spec`` in the shape that a network takes, or without one in their own.

    Images are resized, and grey ones repeated to the channels of the network; nothing else is guessed.
    """
    if input_shape is not None:
        _, height, width = input_shape
        if spec.size is not None and (height, width) != (spec.size, spec.size):
            raise DataError(f"{spec.describe()} has size {spec.size}, but the network takes {height}x{width}")
        spec = spec.replace("size", max(height, width))
    source = build(spec, root, download)
    own = _shape(source.train)
    shape = input_shape or (own[0], spec.size or own[1], spec.size or own[2])
    if own[0] not in (1, shape[0]):
        raise DataError(f"{spec.word} has {own[0]} channels, but the network takes {shape[0]}")
    train = v2.Compose(_steps(source, own, shape, spec))
    test = v2.Compose(_steps(source, own, shape, None))
    return Data(spec.word, Images(source.train, train), Images(source.test, test), source.classes, shape)


def _shape(samples: Samples) -> Shape:
    images, _ = samples.take([0])
    return cast(Shape, tuple(images.shape[1:]))


def _steps(source: Source, own: Shape, shape: Shape, random: DataSpec | None) -> list[Any]:
    """What is done to a batch, in order; the random steps are those of the spec ``random``."""
    steps: list[Any] = []
    if own[1:] != shape[1:]:
        steps.append(v2.Resize(shape[1:]))
    if random and random.crop:
        steps.append(RandomShift(random.crop, source.fill))
    if random and random.flip:
        steps.append(RandomMirror())
    steps.append(v2.ToDtype(torch.float32, scale=True))
    if source.mean:
        steps.append(v2.Normalize(source.mean, source.std))
    if own[0] != shape[0]:
        steps.append(RepeatChannels(shape[0]))
    if random and random.cutout:
        steps.append(Cutout(random.cutout))
    return steps


def halves(data: Data, split: float, seed: int) -> tuple[Subset[Batch], Subset[Batch]]:
    """The training images divided at random: the share ``split`` for the weights, the others for the alphas."""
    order = torch.randperm(len(data.train), generator=_generator(seed, "halves")).tolist()
    cut = int(split * len(order))
    if not 0 < cut < len(order):
        raise DataError(f"{data.name} has {len(order)} training images: a split of {split:g} leaves one part empty")
    return Subset(data.train, order[:cut]), Subset(data.train, order[cut:])


def loader(
    dataset: Dataset[Batch],
    batch: int,
    *,
    seed: int,
    epoch: int,
    workers: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
) -> DataLoader[Batch]:
    """The batches of one epoch: their order is a function of the seed and the epoch and of nothing else.

    Without workers the random changes are drawn from torch's global generator, which the caller seeds; workers are
    seeded from the seed and the epoch.
    """
    generator = _generator(seed, epoch)
    count = len(dataset)  # type: ignore[arg-type]  # datasets with an index have a length
    order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
    return DataLoader(
        dataset,
        batch,
        sampler=order.tolist(),
        num_workers=workers,
        collate_fn=_together,
        drop_last=drop_last,
        generator=generator,
    )


def _together(batch: Any) -> Any:
    """Instead of collating: `Images` gives whole batches."""
    return batch


def _generator(*of: object) -> torch.Generator:
    # Hashed, because neighbouring seeds and epochs are not to share orders and torch uses only 32 bits of a seed.
    digest = hashlib.sha256(repr(of).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))
