"""The builders of the datasets that the language knows by itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from pathlib import Path
from typing import Any

import torch
from torchvision import datasets
from torchvision.transforms import v2

from compiler.searcher.settings.datasets import (
    Cifar10,
    Cifar100,
    DataError,
    DataSpec,
    Digits,
    Fake,
    FashionMnist,
    Folder,
    MissingData,
    Mnist,
    Svhn,
    user_builder,
)

from .source import Items, Pixels, Source


@singledispatch
def build(spec: DataSpec, root: Path, download: bool) -> Source:
    """The data that ``spec`` names, from files under ``root``, which are fetched first if ``download``."""
    source = user_builder(spec.word)(spec, root, download)
    if not isinstance(source, Source):
        raise DataError(f"the builder of '{spec.word}' returns {type(source).__name__}, not a Source")
    return source


@build.register
def _digits(spec: Digits, root: Path, download: bool) -> Source:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    raw, labels = load_digits(return_X_y=True)
    images = torch.from_numpy(raw * (255 / 16)).round().to(torch.uint8).view(-1, 1, 8, 8)
    # The same images are the test set for ever: they are not to be seen by any search.
    parts = train_test_split(torch.arange(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    train, test = (Pixels(images[part], torch.from_numpy(labels)[part]) for part in parts)
    seen = train.images / 255
    return Source(train, test, 10, (seen.mean().item(),), (seen.std().item(),))


@build.register
def _cifar10(spec: Cifar10, root: Path, download: bool) -> Source:
    mean, std = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
    train, test = _cifar(datasets.CIFAR10, spec, root, download)
    return Source(train, test, 10, mean, std, fill=128)


@build.register
def _cifar100(spec: Cifar100, root: Path, download: bool) -> Source:
    mean, std = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)
    train, test = _cifar(datasets.CIFAR100, spec, root, download)
    return Source(train, test, 100, mean, std, fill=128)


def _cifar(kind: Any, spec: DataSpec, root: Path, download: bool) -> tuple[Pixels, Pixels]:
    with _present(spec, root, download):
        parts = [kind(root, train=train, download=download) for train in (True, False)]
    train, test = (Pixels(torch.from_numpy(p.data).permute(0, 3, 1, 2), torch.tensor(p.targets)) for p in parts)
    return train, test


@build.register
def _mnist(spec: Mnist, root: Path, download: bool) -> Source:
    train, test = _idx(datasets.MNIST, spec, root, download)
    return Source(train, test, 10, (0.1307,), (0.3081,))


@build.register
def _fashion_mnist(spec: FashionMnist, root: Path, download: bool) -> Source:
    train, test = _idx(datasets.FashionMNIST, spec, root, download)
    return Source(train, test, 10, (0.2860,), (0.3530,))


def _idx(kind: Any, spec: DataSpec, root: Path, download: bool) -> tuple[Pixels, Pixels]:
    with _present(spec, root, download):
        parts = [kind(root, train=train, download=download) for train in (True, False)]
    train, test = (Pixels(part.data.unsqueeze(1), part.targets) for part in parts)
    return train, test


@build.register
def _svhn(spec: Svhn, root: Path, download: bool) -> Source:
    with _present(spec, root, download):
        parts = [datasets.SVHN(root, split=split, download=download) for split in ("train", "test")]
    train, test = (Pixels(torch.from_numpy(part.data), torch.from_numpy(part.labels)) for part in parts)
    return Source(train, test, 10, (0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970), fill=128)


@build.register
def _folder(spec: Folder, root: Path, download: bool) -> Source:
    place, size = root / spec.path, spec.size or 224
    whole = [v2.Resize(round(size * 8 / 7)), v2.CenterCrop(size)]
    jitter = [v2.ColorJitter(*[spec.jitter] * 3, spec.jitter / 2)] if spec.jitter else []
    random = whole if spec.crop else [v2.RandomResizedCrop(size)]
    try:
        train = datasets.ImageFolder(place / "train", v2.Compose([*random, *jitter, v2.PILToTensor()]))
        test = datasets.ImageFolder(place / "val", v2.Compose([*whole, v2.PILToTensor()]))
    except FileNotFoundError as error:
        layout = f"images are expected in {place / 'train' / 'CLASS'} and {place / 'val' / 'CLASS'}"
        raise MissingData(f"{place} holds no image data: {layout}") from error
    if train.classes != test.classes:
        differing = ", ".join(sorted({*train.classes} ^ {*test.classes}))
        raise DataError(f"the classes in {place / 'train'} and {place / 'val'} differ: {differing}")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return Source(Items(train), Items(test), len(train.classes), mean, std, fill=128)


@build.register
def _fake(spec: Fake, root: Path, download: bool) -> Source:
    random = torch.Generator().manual_seed(0)
    shape = (spec.channels, spec.size or 32, spec.size or 32)
    patterns = torch.randn(spec.classes, *shape, generator=random)

    def pixels(count: int) -> Pixels:
        labels = torch.arange(count) % spec.classes
        noise = torch.randn(count, *shape, generator=random)
        return Pixels((128 + 32 * (patterns[labels] + noise)).clamp(0, 255).to(torch.uint8), labels)

    grey, contrast = (0.5,) * spec.channels, (0.2,) * spec.channels
    return Source(pixels(spec.count), pixels(max(spec.count // 4, 1)), spec.classes, grey, contrast, fill=128)


@contextmanager
def _present(spec: DataSpec, root: Path, download: bool) -> Iterator[None]:
    """Says what a user can do where torchvision finds no files, or files it cannot read."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        if download:
            raise MissingData(f"{spec.word} could not be downloaded to {root}: {error}") from error
        raise MissingData(f"{spec.word} is not in {root}, or not whole", can_download=True) from error
