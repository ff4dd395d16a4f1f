"""Sources of users whose images and labels do not fit together: each is refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from compiler.searcher.data import DataError, register_dataset
from compiler.searcher.data.load import load_data
from compiler.searcher.data.source import Items, Pixels, Source
from compiler.searcher.settings.datasets import user_data
from tests.support.datasets import everything

IMAGES_OF_FOUR = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
CLASSES_OF_FOUR = torch.tensor([0, 1, 0, 1])
MASKS = (
    "each image has a label of shape 8x8, such as a mask, but only one class an image is supported: a network that "
    "classifies each position is trained to give the class of the image at each"
)


def source(images: Tensor = IMAGES_OF_FOUR, labels: Tensor = CLASSES_OF_FOUR, **options: object) -> Source:
    return Source(Pixels(images, labels), Pixels(images, labels), **{"classes": 2, **options})  # type: ignore[arg-type]


def pairs(*items: tuple[object, object]) -> Source:
    return Source(Items(items), Items(items), 2)  # type: ignore[arg-type]


ONE = IMAGES_OF_FOUR[0]
SOURCES: dict[str, tuple[Callable[[], Source], str]] = {
    "masks": (lambda: source(labels=torch.zeros(4, 8, 8, dtype=torch.long)), MASKS),
    "masks of pairs": (lambda: pairs((ONE, torch.zeros(8, 8, dtype=torch.long))), MASKS),
    "masks of arrays": (lambda: pairs((ONE, np.zeros((8, 8), int))), MASKS),
    "fewer labels": (lambda: source(labels=CLASSES_OF_FOUR[:3]), "there are 3 labels for 4 images"),
    "a label too high": (lambda: source(labels=CLASSES_OF_FOUR + 1), "there is a label 2, but the classes are 0 to 1"),
    "a label below zero": (lambda: source(labels=CLASSES_OF_FOUR - 1), "there is a label -1, but the classes are 0"),
    "labels of floats": (lambda: source(labels=torch.rand(4)), "their labels are of the type float32"),
    "a label too high of pairs": (lambda: pairs((ONE, 2)), "there is a label 2, but the classes are 0 to 1"),
    "a float of pairs": (lambda: pairs((ONE, 0.5)), "image 0 has the label 0.5, which is not a number of a class"),
    "a name of pairs": (lambda: pairs((ONE, "cat")), "image 0 has the label 'cat', which is not a number of a class"),
    "no images": (lambda: source(IMAGES_OF_FOUR[:0], CLASSES_OF_FOUR[:0]), "there are none"),
    "no pairs": (lambda: pairs(), "there are none"),
    "no channels": (lambda: source(IMAGES_OF_FOUR[:, 0]), "they are a tensor of shape 4x8x8, not images x channels x"),
    "no channels of pairs": (lambda: pairs((ONE[0], 0)), "they are a tensor of shape 1x8x8, not images x channels x"),
    "pixels of bits": (lambda: source(IMAGES_OF_FOUR.bool()), "their pixels are of the type bool"),
    "no classes": (lambda: source(classes=0), "wrong has 0 classes"),
    "a mean of two channels": (lambda: source(mean=(0.5, 0.5), std=(1.0, 1.0)), "wrong has images of 3 channels, but"),
    "a mean alone": (lambda: source(mean=(0.5,)), "wrong has a mean and no standard deviation, or the other way round"),
    "parts of two kinds": (
        lambda: Source(Pixels(IMAGES_OF_FOUR, CLASSES_OF_FOUR), Pixels(IMAGES_OF_FOUR[:, :1], CLASSES_OF_FOUR), 2),
        "wrong has training and test images of different channels: 3x8x8 and 1x8x8",
    ),
}


@pytest.mark.parametrize("damage", SOURCES)
def test_a_source_that_does_not_fit_together(damage: str, own_names: None) -> None:
    make, why = SOURCES[damage]
    register_dataset("wrong", lambda *_: make())
    with pytest.raises(DataError) as refused:
        load_data(user_data("wrong")(), Path())
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)
    if not why.startswith("wrong"):
        assert str(refused.value).startswith("the training images of wrong cannot be used: ")


@pytest.mark.parametrize(("last", "why"), [
    ((ONE, 5), "there is a label 5, but the classes are 0 to 1"),
    ((torch.zeros(3, 9, 8, dtype=torch.uint8), 1), "image 1 is 3x9x8, another of the same dataset 3x8x8"),
    ((ONE, torch.zeros(8, 8)), MASKS),
], ids=["label", "shape", "mask"])  # fmt: skip
def test_a_later_pair_that_does_not_fit_is_named_when_it_is_read(
    last: tuple[Tensor, object], why: str, own_names: None
) -> None:
    register_dataset("late", lambda *_: pairs((ONE, 0), last))
    data = load_data(user_data("late")(), Path())
    with pytest.raises(DataError, match=why):
        everything(data, "train")


def test_pairs_of_another_shape_in_a_batch_of_their_own(own_names: None) -> None:
    register_dataset("late", lambda *_: pairs((ONE, 0), (ONE[:, :4], 1)))
    data = load_data(user_data("late")(), Path())
    with pytest.raises(DataError, match=r"^some images of late are 3x4x8, others 3x8x8: all have to be of one shape$"):
        data.train[1]
