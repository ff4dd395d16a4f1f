"""The published datasets: found on disk, or fetched by torchvision, and read with every file checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torchvision import datasets
from torchvision.datasets.utils import check_integrity

from compiler.searcher.settings.datasets import DataError, DataSpec, MissingDataError

from .check import check_pixels
from .files import obstacle, unreadable
from .idx import FILES, present, read_idx, shared_folders, whole
from .source import Pixels, Shape

Parts = tuple[Pixels, Pixels]
"""The training and the test images of a dataset."""


def cifar(kind: Any, spec: DataSpec, root: Path, download: bool) -> Parts:
    """CIFAR-10 or -100, by its class in torchvision, from ``root/cifar-10-batches-py`` or ``root/cifar-100-python``.

    Raises:
        MissingDataError: when a file is missing, is not the published one, or cannot be fetched.
        DataError: when a file holds something else than images and labels.
    """
    folder = root / kind.base_folder
    checksums = {folder / name: md5 for name, md5 in [*kind.train_list, *kind.test_list]}
    checksums[folder / kind.meta["filename"]] = kind.meta["md5"]
    classes = 10 if kind is datasets.CIFAR10 else 100

    def part(train: bool) -> Pixels:
        read = kind(root, train=train)
        images = torch.from_numpy(np.ascontiguousarray(read.data.transpose(0, 3, 1, 2)))
        return checked(images, read.targets, classes, (3, 32, 32))

    _fetch(spec, root, checksums, (lambda: kind(root, download=True)) if download else None, root / kind.filename)
    with _read(spec, folder):
        return part(train=True), part(train=False)


def svhn(spec: DataSpec, root: Path, download: bool) -> Parts:
    """SVHN from ``root/train_32x32.mat`` and ``root/test_32x32.mat``.

    Raises:
        MissingDataError: when a file is missing, is not the published one, or cannot be fetched.
        DataError: when a file holds something else than images and labels.
    """
    listed = {split: datasets.SVHN.split_list[split] for split in ("train", "test")}
    checksums = {root / name: md5 for _, name, md5 in listed.values()}

    def fetch() -> None:
        for split in listed:
            datasets.SVHN(root, split=split, download=True)

    def part(split: str) -> Pixels:
        read = datasets.SVHN(root, split=split)
        # The file has the images along its last dimension: unless they are copied, reading one touches all pages.
        return checked(torch.from_numpy(np.ascontiguousarray(read.data)), read.labels.reshape(-1), 10, (3, 32, 32))

    _fetch(spec, root, checksums, fetch if download else None)
    with _read(spec, root):
        return part("train"), part("test")


def mnist(kind: Any, spec: DataSpec, root: Path, download: bool, package: str = "") -> Parts:
    """MNIST or a dataset of its format, by its class in torchvision, from the first folder that has all four files.

    ``package`` is the name of the Debian package that has them, ``dataset-NAME``, if there is one.

    Raises:
        MissingDataError: when no folder has them, or they cannot be fetched.
        DataError: when a file is damaged, or holds images of another size.
    """
    raw = root / kind.__name__ / "raw"
    own = [raw, root / spec.word, root / spec.word.replace("_", "-"), root]
    shared = shared_folders(package.removeprefix("dataset-")) if package else []
    partial = next((folder for folder in own if any(present(folder))), None)
    paths = next(filter(None, map(whole, own if partial else [*own, *shared])), None)
    if paths is None and download:
        with _downloading(spec, root):
            kind(root, download=True)
        paths = whole(raw)
    if paths is None and partial:
        lacking = [name for name, path in zip(FILES, present(partial), strict=True) if path is None]
        raise MissingDataError(
            f"{spec.word} in {partial} is incomplete: {', '.join(lacking)} is missing", can_download=True
        )
    if paths is None:
        also = f", or from Debian's package {package}" if package else ""
        raise MissingDataError(
            f"{spec.word} is not in {root}: {FILES[0]}[.gz] and the three files that belong to it are read from {raw}, "
            f"as torchvision keeps them, from {own[1]} or {root}{also}",
            can_download=True,
        )
    return _idx_part(paths[0], paths[1]), _idx_part(paths[2], paths[3])


def _idx_part(images: Path, labels: Path) -> Pixels:
    try:
        return checked(read_idx(images, 3).unsqueeze(1), read_idx(labels, 1), 10, (1, 28, 28))
    except DataError as error:
        named = str(error).startswith((f"{images} ", f"{labels} "))
        raise error if named else DataError(f"the images of {images} cannot be used: {error}") from None


def checked(images: torch.Tensor, labels: Any, classes: int, shape: Shape) -> Pixels:
    """Images of bytes and their labels, which have to be those of a published format.

    Raises:
        DataError: when the format is another one, as the end of a sentence about the images.
    """
    numbers = torch.as_tensor(labels)
    check_pixels(images, numbers, classes, shape)
    return Pixels(images, numbers.long())


def _fetch(
    spec: DataSpec, root: Path, checksums: dict[Path, str], download: Callable[[], object] | None, *archives: Path
) -> None:
    """Fetch files if asked to, and refuse the first file that has another checksum."""
    for path in (*checksums, *archives):
        if (why := obstacle(path)) and why != "is missing":
            raise DataError(f"{spec.word} cannot be read: {path} {why}")
    if download is not None:
        with _downloading(spec, root):
            download()
    lost = [path for path in checksums if not path.exists()]
    if len(lost) == len(checksums):
        raise MissingDataError(f"{spec.word} is not in {root}", can_download=True)
    for path, md5 in checksums.items():
        if why := obstacle(path) or _difference(path, md5):
            raise MissingDataError(f"{spec.word} in {root} is incomplete: {path} {why}", can_download=True)


def _difference(path: Path, md5: str) -> str:
    """Why a file is not the published one, as the end of a sentence; empty if it is."""
    try:
        return "" if check_integrity(path, md5) else "is damaged: its checksum is wrong"
    except OSError as error:
        return unreadable(error)


@contextmanager
def _downloading(spec: DataSpec, root: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise MissingDataError(f"{spec.word} could not be downloaded to {root}: {error}") from error


@contextmanager
def _read(spec: DataSpec, folder: Path) -> Iterator[None]:
    """Name the dataset where its files hold something else; their parsers raise anything at all on damage."""
    try:
        yield
    except Exception as error:
        why = str(error) if isinstance(error, DataError) else "they are damaged, or of another format"
        raise DataError(f"the images of {spec.word} in {folder} cannot be used: {why}") from error
