"""Where the images of a folder with one subfolder for each class are, and which of them are held out as the test set.

Hidden files and folders, whose names start with a dot, are left out at every level.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from compiler.searcher.settings.datasets import DataError, MissingDataError

from .files import unreadable
from .subsets import random_generator, stratified

TRAINING = ("train", "training")
HELD_OUT = ("val", "validation", "valid", "test", "testing")
"""The names of the folder of the test images; of several, the first in this order."""
ENDINGS = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
HELD_OUT_SHARE = 0.2
"""The share of each class that becomes the test set where no folder of test images is there."""


@dataclass(frozen=True)
class LabelledFiles:
    """Paths of images, with the class ``[n]`` of each."""

    paths: tuple[Path, ...]
    labels: Tensor = field(repr=False)

    def subset(self, indices: Tensor) -> LabelledFiles:
        """The files at ``indices``, in that order."""
        return LabelledFiles(tuple(self.paths[index] for index in indices.tolist()), self.labels[indices])


@dataclass(frozen=True)
class FoundImages:
    """The training and the test images below a folder, and the names of their classes in the order of their numbers."""

    train: LabelledFiles
    test: LabelledFiles
    classes: tuple[str, ...]


def find_images(place: Path) -> FoundImages:
    """The images below ``place``: ``train/CLASS/`` and ``val/CLASS/`` by their names above, or ``CLASS/`` alone.

    Of classes alone, a share is held out that is the same for every seed of a run, since the test images of a training
    are not to be seen by any search.

    Raises:
        MissingDataError: when there are no such folders.
        DataError: when a folder of a class is empty or cannot be read, or the classes of the two parts differ.
    """
    expected = f"{place / 'train' / 'CLASS'} and {place / 'val' / 'CLASS'}, or in {place / 'CLASS'}"
    nothing = f"{place} holds no image data: images are expected in {expected}"
    if not os.path.exists(place):
        raise MissingDataError(nothing)
    train, test = parts_of(place)
    if train and test:
        return _two_parts(train, test)
    if train or test or not (classes := subfolders(place)):
        raise MissingDataError(nothing)
    return _held_out(_images(place, classes), tuple(classes))


def parts_of(place: Path) -> tuple[Path | None, Path | None]:
    """The folders of the training and of the test part below ``place``, where they are there and have folders."""
    parts = {name.lower(): place / name for name in reversed(subfolders(place)) if name.lower() in TRAINING + HELD_OUT}
    parts = {name: path for name, path in parts.items() if subfolders(path)}
    train, test = (next((parts[name] for name in names if name in parts), None) for names in (TRAINING, HELD_OUT))
    return train, test


def _two_parts(train: Path, test: Path) -> FoundImages:
    classes = subfolders(train)
    if differing := sorted({*classes} ^ {*subfolders(test)}):
        raise DataError(f"the classes in {train} and {test} differ: {', '.join(differing)}")
    return FoundImages(_images(train, classes), _images(test, classes), tuple(classes))


def _held_out(files: LabelledFiles, classes: tuple[str, ...]) -> FoundImages:
    sizes = torch.bincount(files.labels, minlength=len(classes)).tolist()
    counts = [max(1, round(HELD_OUT_SHARE * size)) if size > 1 else 0 for size in sizes]
    test = stratified(files.labels, counts, random_generator("held out"))
    kept = torch.ones(len(files.paths), dtype=torch.bool)
    kept[test] = False
    return FoundImages(files.subset(kept.nonzero()[:, 0]), files.subset(test), classes)


def _images(part: Path, classes: Sequence[str]) -> LabelledFiles:
    """The images of each class, those of one folder after those of another, each sorted by name."""
    found = [images_below(part / name) for name in classes]
    if empty := [str(part / name) for name, paths in zip(classes, found, strict=True) if not paths]:
        more = f" and {len(empty) - 3} more" if len(empty) > 3 else ""
        endings = ", ".join(ENDINGS)
        raise DataError(f"there is no image in {', '.join(empty[:3])}{more}: the name of an image ends in {endings}")
    labels = [label for label, paths in enumerate(found) for _ in paths]
    return LabelledFiles(tuple(path for paths in found for path in paths), torch.tensor(labels))


def images_below(folder: Path) -> list[Path]:
    """Everything below a folder that has the name of an image; links are followed, each real folder once."""
    found: dict[str, list[Path]] = {}
    seen: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        status = here.stat()
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        entries = _entries(here)
        found[str(here)] = sorted(here / entry.name for entry in entries if _is_image(entry.name))
        waiting += [here / entry.name for entry in entries if _is_folder(entry) and not _is_image(entry.name)]
    return [path for here in sorted(found) for path in found[here]]


def _is_image(name: str) -> bool:
    return name.lower().endswith(ENDINGS)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # A link that leads to itself.
        return False


def subfolders(place: Path) -> list[str]:
    """The names of the folders in a folder, sorted."""
    return sorted(entry.name for entry in _entries(place) if _is_folder(entry))


def _entries(place: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(place) as entries:
            return [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise DataError(f"{place} {unreadable(error)}") from None
