"""The builders of the datasets that the language knows by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import torch
from torchvision import datasets

from compiler.searcher.settings.datasets import (
    Cifar10,
    Cifar100,
    DataError,
    DataSpec,
    Digits,
    Fake,
    FashionMnist,
    Folder,
    Mnist,
    Svhn,
    user_builder,
)

from .class_folders import find_images
from .image_files import ImageFiles
from .published import cifar, mnist, svhn
from .source import Pixels, Shape, Source


@dataclass(frozen=True)
class LoadOptions:
    """Where data lie, whether they are fetched first, and the shape ``(c, h, w)`` that a network takes, if known."""

    root: Path
    download: bool = False
    shape: Shape | None = None


@singledispatch
def build(spec: DataSpec, options: LoadOptions) -> Source:
    """The data that ``spec`` names; those of a user by the builder that is registered for it.

    Raises:
        MissingDataError: when the data are not there.
        DataError: when they cannot be used.
    """
    source = user_builder(spec.word)(spec, options.root, options.download)
    if not isinstance(source, Source):
        raise DataError(f"the builder of '{spec.word}' returns {type(source).__name__}, not a Source")
    return source


@build.register
def _digits(spec: Digits, options: LoadOptions) -> Source:
    # Only this dataset needs scikit-learn, which takes a second to import.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(raw * (255 / 16)).round().to(torch.uint8).view(-1, 1, 8, 8)
    # The same images are the test set of every run: no search of any seed may see them.
    parts = train_test_split(torch.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    train, test = (Pixels(images[part], torch.from_numpy(labels)[part]) for part in parts)
    seen = train.images / 255
    return Source(train, test, 10, (seen.mean().item(),), (seen.std().item(),))


@build.register
def _cifar10(spec: Cifar10, options: LoadOptions) -> Source:
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    return Source(*cifar(datasets.CIFAR10, spec, options.root, options.download), 10, mean, std, fill=128)


@build.register
def _cifar100(spec: Cifar100, options: LoadOptions) -> Source:
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    return Source(*cifar(datasets.CIFAR100, spec, options.root, options.download), 100, mean, std, fill=128)


@build.register
def _mnist(spec: Mnist, options: LoadOptions) -> Source:
    return Source(*mnist(datasets.MNIST, spec, options.root, options.download), 10, (0.1307,), (0.3081,))


@build.register
def _fashion_mnist(spec: FashionMnist, options: LoadOptions) -> Source:
    parts = mnist(datasets.FashionMNIST, spec, options.root, options.download, package="dataset-fashion-mnist")
    return Source(*parts, 10, (0.2860,), (0.3530,))


@build.register
def _svhn(spec: Svhn, options: LoadOptions) -> Source:
    mean, std = (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)
    return Source(*svhn(spec, options.root, options.download), 10, mean, std, fill=128)


FOLDER_STATISTICS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    1: ((0.459,), (0.226,)),
    3: ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    4: ((0.485, 0.456, 0.406, 0.5), (0.229, 0.224, 0.225, 0.5)),
}
"""Mean and standard deviation by channels: those of ImageNet; grey has the luma of the three; alpha goes to [-1, 1]."""


def folder_statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of the images of a folder, for a network of so many channels."""
    if channels not in FOLDER_STATISTICS:
        known = "1 (grey), 3 (colour) or 4 (colour and alpha)"
        raise DataError(f"the images of a folder have {known} channels, but the network takes {channels}")
    return FOLDER_STATISTICS[channels]


@build.register
def _folder(spec: Folder, options: LoadOptions) -> Source:
    channels, *size = options.shape or (3, spec.size or 224, spec.size or 224)
    mean, std = folder_statistics(channels)
    found = find_images(options.root / spec.path)
    shape = (channels, size[0], size[1])
    train = ImageFiles(found.train, found.classes, shape, random=not spec.crop)
    test = ImageFiles(found.test, found.classes, shape)
    return Source(train, test, len(found.classes), mean, std, fill=128)


@build.register
def _fake(spec: Fake, options: LoadOptions) -> Source:
    random = torch.Generator().manual_seed(0)
    shape = (spec.channels, spec.size or 32, spec.size or 32)
    patterns = torch.randn(spec.classes, *shape, generator=random)

    def pixels(count: int) -> Pixels:
        labels = torch.arange(count) % spec.classes
        noise = torch.randn(count, *shape, generator=random)
        return Pixels((128 + 32 * (patterns[labels] + noise)).clamp(0, 255).to(torch.uint8), labels)

    grey, contrast = (0.5,) * spec.channels, (0.2,) * spec.channels
    return Source(pixels(spec.count), pixels(max(spec.count // 4, 1)), spec.classes, grey, contrast, fill=128)
