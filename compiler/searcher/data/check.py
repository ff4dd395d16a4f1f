"""Data that cannot be trained on are refused before anything is computed, each in one sentence."""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.searcher.settings.datasets import DataError
from compiler.util.plural import plural

from .source import Items, Pixels, Samples, Shape, Source, masks, show


def check_source(word: str, source: Source) -> None:
    """Refuse a dataset whose images, labels or statistics do not fit together.

    Samples that are read from files are checked when they are read; of `Items`, only the first is read here.

    Raises:
        DataError: the first thing that is wrong, with the dataset and the part.
    """
    if source.classes < 1:
        raise DataError(f"{word} has {source.classes} classes")
    for part, samples in (("training", source.train), ("test", source.test)):
        try:
            _check_samples(samples, source.classes)
        except DataError as error:
            raise DataError(f"the {part} images of {word} cannot be used: {error}") from None
    if bool(source.mean) != bool(source.std):
        raise DataError(f"{word} has a mean and no standard deviation, or the other way round")
    channels = source.train.shape[0]
    for name, values in (("mean", source.mean), ("std", source.std)):
        if values and len(values) not in (1, channels):
            raise DataError(f"{word} has images of {plural(channels, 'channel')}, but the {name} of {len(values)}")
    if source.train.shape[0] != source.test.shape[0]:
        shapes = f"{show(source.train.shape)} and {show(source.test.shape)}"
        raise DataError(f"{word} has training and test images of different channels: {shapes}")


def _check_samples(samples: Samples, classes: int) -> None:
    if len(samples) == 0:
        raise DataError("there are none")
    if isinstance(samples, Pixels):
        check_pixels(samples.images, samples.labels, classes)
    elif isinstance(samples, Items):
        images, labels = samples.take(torch.tensor([0]))
        check_pixels(images, labels, classes)


def check_pixels(images: Tensor, labels: Tensor, classes: int, shape: Shape | None = None) -> None:
    """Refuse images that are not ``[n, c, h, w]`` of the given ``shape``, or labels that are not ``[n]`` classes.

    Raises:
        DataError: what is wrong, as the end of a sentence about the images.
    """
    if images.dim() != 4 or 0 in images.shape[1:]:
        raise DataError(f"they are a tensor of shape {show(images.shape)}, not images x channels x height x width")
    if shape is not None and tuple(images.shape[1:]) != shape:
        raise DataError(f"they are {show(images.shape[1:])}, not {show(shape)}")
    if labels.dim() > 1:
        raise DataError(masks(labels.shape[1:]))
    if labels.dim() == 0 or len(labels) != len(images):
        raise DataError(f"there are {labels.numel()} labels for {len(images)} images")
    if len(images) == 0:
        raise DataError("there are none")
    if images.is_complex() or images.dtype is torch.bool:
        raise DataError(f"their pixels are of the type {_type(images)}")
    check_labels(labels, classes)


def check_labels(labels: Tensor, classes: int) -> None:
    """Refuse labels ``[n]`` that are not whole numbers from 0 to below ``classes``.

    Raises:
        DataError: with the first label that is none.
    """
    if labels.is_floating_point() or labels.is_complex():
        raise DataError(f"their labels are of the type {_type(labels)}, not numbers of classes")
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        label = int(labels[wrong][0])
        raise DataError(f"there is a label {label}, but the classes are 0 to {classes - 1}")


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
