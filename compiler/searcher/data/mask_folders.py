"""Folders of images with masks, for a segmentation: which mask belongs to which image, and both as data."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import torch

from compiler.searcher.settings.datasets import DataError, Folder, MissingDataError

from .builtin import folder_statistics
from .class_folders import HELD_OUT_SHARE, images_below, parts_of, subfolders
from .load import Data, Images, broken_warnings, check_size, jitter
from .mask_files import MaskFiles
from .resolution import IN_MEMORY
from .source import Shape
from .subsets import limited, random_generator
from .transforms import CropAndFlip, Cutout, Finish, WithMasks

IMAGES, MASKS = "images", "masks"
FILL = 128
"""The value, of 0..255, of what a random crop adds around an image."""


def load_masks(
    spec: Folder, root: Path, shape: Shape, classes: int, ignore: int, seed: int = 0, memory: int = IN_MEMORY
) -> Data:
    """The images and masks of a folder, for a network of ``classes`` that takes ``shape`` ``(c, h, w)``.

    Both are resized whole to the network's height and width, masks to the nearest pixel. ``seed`` chooses the training
    images where the spec limits them.

    Raises:
        MissingDataError: there are no such folders.
        DataError: images and masks do not belong together, or do not fit the network.
    """
    check_size(spec, shape)
    mean, std = folder_statistics(shape[0])
    train, test = (MaskFiles(pairs, shape, classes, ignore) for pairs in _found(root / spec.path))
    if spec.images is not None:
        train = train.subset(limited(torch.zeros(len(train), dtype=torch.long), spec.images, seed, spec.word))
    read = [files.read(memory) for files in (train, test)]
    broken = [file for _, files, _ in read for file in files]
    warnings = broken_warnings(spec, broken, len(train) + len(test))
    for part, (_, _, occurring) in zip(("training", "test"), read, strict=True):
        if not occurring:
            raise DataError(f"no {part} mask of {spec.describe()} has a class: all that can be used is ignored")
    warnings += _absent(spec, read[0][2], {*range(classes)} - {ignore})
    move = CropAndFlip(spec.crop, FILL, spec.flip) if spec.crop or spec.flip else None
    changed = Finish(shape[0], mean, std, tuple(jitter(spec)), Cutout(spec.cutout) if spec.cutout else None)

    def images(part: int, finishing: Finish, masks: WithMasks) -> Images:
        samples = read[part][0]
        return Images(spec.word, samples, classes, finishing, torch.arange(len(samples)), masks=masks)

    parts = images(0, changed, WithMasks(ignore, move)), images(1, Finish(shape[0], mean, std), WithMasks(ignore))
    return Data(spec.word, *parts, classes, shape, warnings=warnings)


def _absent(spec: Folder, occurring: set[int], classes: set[int]) -> tuple[str, ...]:
    """A warning about ``classes`` that no training mask has.

    Raises:
        DataError: there are not even two, as where black and white masks have 0 and 255 for 0 and 1.
    """
    absent = [str(number) for number in sorted(classes - occurring)]
    if not absent:
        return ()
    if len(occurring) == 1:
        only = f"the training masks of {spec.describe()} have no other class than {next(iter(occurring))}"
        raise DataError(f"{only}, where they are not ignored")
    named = ", ".join(absent[:8]) + (f" and {len(absent) - 8} more" if len(absent) > 8 else "")
    return (f"no training mask of {spec.describe()} has the class {named}",)


Pairs = tuple[tuple[Path, Path], ...]


def _found(place: Path) -> tuple[Pairs, Pairs]:
    """The pairs of the training and of the test part; without that, a share is held out, the same one in every run."""
    missing = MissingDataError(
        f"{place} holds no images with masks: they are expected in {place / 'train' / IMAGES} and "
        f"{place / 'train' / MASKS}, maybe in {place / 'val'} as well, or in {place / IMAGES} and {place / MASKS}"
    )
    if not os.path.exists(place):
        raise missing
    train, test = parts_of(place)
    train = train or place
    if not {IMAGES, MASKS} <= {*subfolders(train)}:
        raise missing
    pairs = _pairs(train)
    if test is not None:
        return pairs, _pairs(test)
    held = max(1, round(HELD_OUT_SHARE * len(pairs)))
    if held == len(pairs):
        raise DataError(f"{train / IMAGES} has one image: too few to hold some out for the test")
    order = torch.randperm(len(pairs), generator=random_generator("held out")).tolist()
    return tuple(pairs[index] for index in sorted(order[held:])), tuple(pairs[index] for index in sorted(order[:held]))


def _pairs(part: Path) -> Pairs:
    """Each image of a part with the mask of its name, whatever the ending; both may lie in folders of their own."""
    for name in (IMAGES, MASKS):
        if name not in subfolders(part):
            raise DataError(f"{part} has no folder '{name}'")
    images, masks = (_by_stem(part / name) for name in (IMAGES, MASKS))
    if not images:
        raise DataError(f"there is no image in {part / IMAGES}")
    _refuse(f"no mask in {part / MASKS}", (path for stem, path in images.items() if stem not in masks))
    _refuse(f"no image in {part / IMAGES}", (path for stem, path in masks.items() if stem not in images))
    return tuple((path, masks[stem]) for stem, path in images.items())


def _by_stem(folder: Path) -> dict[Path, Path]:
    """The images below a folder, by their path in it without the ending."""
    found: dict[Path, Path] = {}
    for path in images_below(folder):
        stem = path.relative_to(folder).with_suffix("")
        if stem in found:
            raise DataError(f"{found[stem]} and {path} have one name: which of them is meant is not known")
        found[stem] = path
    return found


def _refuse(what: str, alone: Iterable[Path]) -> None:
    if paths := [*alone]:
        more = f" and {len(paths) - 3} more" if len(paths) > 3 else ""
        raise DataError(f"there is {what} for {', '.join(map(str, paths[:3]))}{more}")
