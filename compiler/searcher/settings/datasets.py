"""The words for data, ``cifar10(crop = 4)``: the datasets known here and those that users register. No torch.

A user's dataset is registered under a name, by `register_dataset` or by an entry point of the group
``hdas_dsl.datasets``; `compiler/searcher/data/README.md` shows both. Nothing of it is imported before its data are
loaded.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from compiler.util.errors import UsageError

from .words import Amount, Count, Flag, Fraction, Share, Size, Text, Value, Word

Builder = Callable[["DataSpec", Path, bool], object]
"""``build(spec, root, download)``: the `Source` of the data that ``spec`` names, kept under ``root``; fetched first
if ``download``. That it is one is checked when the data are loaded."""

ImageLimit = Annotated[
    Count | Share | None, Field(description="a whole number of images, at least 1, or a share between 0 and 1")
]

ENTRY_POINTS = "hdas_dsl.datasets"
TABLES = (".csv", ".parquet")
KINDS = (".npz", ".safetensors", *TABLES)
"""The formats of files of arrays."""
FUNCTION = re.compile(r".+\.py:[A-Za-z_]\w*")
"""A function of a file, as `ArrayFile` names it."""
_registered: dict[str, Builder] = {}


class DataError(UsageError):
    """The data cannot be used as asked; one sentence for the user."""


class MissingDataError(DataError):
    """The data are not there. ``can_download``: the same command with `--download` gets them."""

    def __init__(self, message: str, can_download: bool = False) -> None:
        super().__init__(message)
        self.can_download = can_download
        self.retry_with = "--download" if can_download else ""


class DataSpec(Word):
    """A dataset, and how its images are changed before a network sees them."""

    weights_share: Share = 0.5
    """In a search: the share of the training images that train weights; the others train alphas."""
    cutout: Amount = 0
    """Side of the square that is set to zero in every training image, in pixels; 0: none."""
    crop: Amount = 0
    """Padding before a random crop back to the size of the image, in pixels; 0: no crop."""
    flip: Flag = False
    """Whether half of the training images are mirrored."""
    size: Size = None
    """Height and width the images are resized to; without it, what the network takes, or their own."""
    images: ImageLimit = None
    """How many of the training images a search or a training uses, as a number or a share of them; each class keeps
    its share. Without it, all of them. The test images are never limited."""

    def changes(self) -> dict[str, Value]:
        """The settings that a text gives and that data of any kind have: changes of images, and shares of them."""
        said = [name for name in DataSpec.model_fields if name in self.model_fields_set]
        return {name: getattr(self, name) for name in said}

    @classmethod
    def former(cls) -> Mapping[str, str]:
        """`split` said the same, and could be read as the share of the alphas."""
        return {"split": "weights_share"}

    @classmethod
    def words(cls) -> Mapping[str, type[Word]]:
        """The classes of all datasets by word: those that users registered, and the built-in ones."""
        if cls is not DataSpec:
            return super().words()
        own: dict[str, type[Word]] = {name: user_data(name) for name in user_names()}
        return own | {model.word: model for model in OF_THE_LANGUAGE}


class Digits(DataSpec):
    """The 1,797 digits of 8x8 pixels that come with scikit-learn; a fifth of each class is the test set."""

    word = "digits"


class Cifar10(DataSpec):
    """CIFAR-10: 50,000 training and 10,000 test images of 3x32x32 in 10 classes."""

    word = "cifar10"
    crop: Amount = 4
    flip: Flag = True


class Cifar100(Cifar10):
    """CIFAR-100: 50,000 training and 10,000 test images of 3x32x32 in 100 classes."""

    word = "cifar100"


class Mnist(DataSpec):
    """MNIST: 60,000 training and 10,000 test images of 1x28x28 in 10 classes."""

    word = "mnist"
    crop: Amount = 2


class FashionMnist(DataSpec):
    """Fashion-MNIST: the sizes of MNIST, with clothes for digits."""

    word = "fashion_mnist"
    crop: Amount = 2
    flip: Flag = True


class Svhn(DataSpec):
    """SVHN, the cropped digits: 73,257 training and 26,032 test images of 3x32x32 in 10 classes."""

    word = "svhn"
    crop: Amount = 4


class Folder(DataSpec):
    """Image files in a folder for each class below ``path``, which starts at the data root.

    With ``crop = 0`` a training image is a random resized crop, as is usual for ImageNet; otherwise it is cut as a test
    image is, and shifted. For a segmentation the folder holds images and masks, which are taken whole.
    """

    word = "folder"
    path: Text = ""
    flip: Flag = True
    jitter: Fraction = 0.4
    """Strength of the colour jitter; 0: none."""
    skip_broken: Flag = False
    """Whether files that cannot be read as images are left out; otherwise they are an error."""


class Fake(DataSpec):
    """Random images, each with a faint pattern of its class: to try things without data."""

    word = "fake"
    classes: Count = 10
    count: Count = 256
    """How many training images; a quarter as many are the test set."""
    channels: Count = 3


class ArrayFile(DataSpec):
    """Arrays of a file of the user's below the data root, of one of the formats `KINDS`, or ``"file.py:function"``.

    The path alone says it: ``data = "waves.npz"``. A function runs only where ``--allow-plugin`` allows its file.
    """

    word = "file"
    positional = ("path",)
    by_text = True
    path: Text
    target: Annotated[str | None, Field(description="the name of a column in quotes")] = None
    """The column of the targets of a table; without it, the last."""

    @field_validator("path")
    @classmethod
    def _is_a_kind(cls, path: str) -> str:
        if not path.endswith(KINDS) and not FUNCTION.fullmatch(path):
            kinds = ", ".join(f'"NAME{kind}"' for kind in KINDS)
            raise ValueError(f'"{path}" is not a file of data: use {kinds}, or "NAME.py:FUNCTION"')
        return path

    @model_validator(mode="after")
    def _columns(self) -> Self:
        if self.target is not None and not self.path.endswith(TABLES):
            raise ValueError(f"`target` is a column of a table ({', '.join(TABLES)}), and this file has none")
        return self


class HuggingFace(ArrayFile):
    """A dataset of Hugging Face below the data root, in the folder that its `save_to_disk` has left."""

    word = "huggingface"
    by_text = False

    @field_validator("path")
    @classmethod
    def _is_a_kind(cls, path: str) -> str:
        return path

    @model_validator(mode="after")
    def _columns(self) -> Self:
        return self


class UserData(DataSpec):
    """A dataset that is registered by name; what ``path`` means is for its builder to say."""

    path: Text = ""


BUILT_IN: tuple[type[DataSpec], ...] = (Digits, Cifar10, Cifar100, Mnist, FashionMnist, Svhn, Folder, Fake)
"""Images with a class each."""
OF_THE_LANGUAGE: tuple[type[DataSpec], ...] = (*BUILT_IN, ArrayFile, HuggingFace)


def register_dataset(name: str, builder: Builder) -> None:
    """Makes ``name`` a word for data: ``builder`` is called when they are loaded.

    Raises:
        ValueError: when ``name`` is not an identifier, or a built-in dataset has it.
    """
    if not name.isidentifier():
        raise ValueError(f"'{name}' cannot be a word for data: use letters, digits and _")
    if name in {model.word for model in OF_THE_LANGUAGE}:
        raise ValueError(f"'{name}' is a dataset of the language and cannot be registered")
    _registered[name] = builder


def user_names() -> set[str]:
    """The names of users' datasets, none of them imported."""
    return {*_registered, *_installed_names(tuple(sys.path))}


@cache
def _installed_names(_path: tuple[str, ...]) -> frozenset[str]:
    """The names that packages on the path of modules bring, which is searched once: that takes milliseconds."""
    return frozenset(entry_points(group=ENTRY_POINTS).names)


def user_builder(name: str) -> Builder:
    """The builder of a user's dataset; a registered one comes before an entry point."""
    if name in _registered:
        return _registered[name]
    builder: Builder = entry_points(group=ENTRY_POINTS)[name].load()
    return builder


@cache
def user_data(name: str) -> type[UserData]:
    """The word for a user's dataset."""

    class Registered(UserData):
        word: ClassVar[str] = name

    return Registered
