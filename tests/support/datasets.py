"""Small datasets in the true formats of the published ones, and what a network would see of them."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch import Tensor
from torchvision import datasets

from compiler.searcher.data import DataSpec, register_dataset
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.data.source import Source
from compiler.searcher.data.transforms import Finish
from compiler.searcher.settings.datasets import user_data

IMAGENET_MEAN, IMAGENET_STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def everything(data: Data, part: str = "test") -> tuple[Tensor, Tensor]:
    """All images and labels of a part, as a network takes them."""
    dataset = getattr(data, part)
    found: tuple[Tensor, Tensor] = dataset.__getitems__(range(len(dataset)))
    return found


def normalised(pixels: np.ndarray, mean: Tensor, std: Tensor) -> Tensor:
    """Images [n, c, h, w] of bytes as a network sees them, by the formula."""
    return (torch.from_numpy(pixels).double() / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


def levels(data: Data, part: str = "test") -> Tensor:
    """The bytes [n, c, h, w] of the images of a part, rounded, before normalisation."""
    finishing = data.train.finishing
    assert isinstance(finishing, Finish)
    mean, std = torch.tensor(finishing.mean), torch.tensor(finishing.std)
    return ((everything(data, part)[0] * std.view(-1, 1, 1) + mean.view(-1, 1, 1)) * 255).round().int()


def pickled(path: Path, content: object) -> list[str]:
    """Write a pickle and give the entry of torchvision's list of files."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]


def cifar(
    root: Path,
    patch: pytest.MonkeyPatch,
    kind: str,
    side: int = 32,
    labels: tuple[int, ...] = (0, 1, 2, 3, 9),
) -> np.ndarray:
    """Five training images and five test images; torchvision expects the checksums of these files in the test only."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3 * side * side), dtype=np.uint8)
    if kind == "CIFAR10":
        place, key, meta = root / "cifar-10-batches-py", "labels", {"label_names": [f"class{i}" for i in range(10)]}
        names, metafile = ("data_batch_1", "test_batch"), "batches.meta"
    else:
        place, key, meta = root / "cifar-100-python", "fine_labels", {"fine_label_names": [f"c{i}" for i in range(100)]}
        names, metafile = ("train", "test"), "meta"
    first, second = (
        pickled(place / name, {"data": part, key: list(labels)})
        for name, part in zip(names, np.split(pixels, 2), strict=True)
    )
    name, checksum = pickled(place / metafile, meta)
    cls = getattr(datasets, kind)
    patch.setattr(cls, "train_list", [first])
    patch.setattr(cls, "test_list", [second])
    patch.setattr(cls, "meta", {**cls.meta, "filename": name, "md5": checksum})
    return pixels.reshape(10, 3, side, side)


def idx(path: Path, array: np.ndarray, packed: bool = False) -> None:
    """An IDX file, as MNIST has them."""
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path = path.with_name(f"{path.name}.gz")
    path.write_bytes(gzip.compress(content) if packed else content)


def mnist(folder: Path, packed: bool = False) -> np.ndarray:
    """The four files of an MNIST of four training images and two test images; these, [6, 1, 28, 28]."""
    pixels = np.random.default_rng(1).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for prefix, part in (("train", pixels[:4]), ("t10k", pixels[4:])):
        idx(folder / f"{prefix}-images-idx3-ubyte", part, packed)
        idx(folder / f"{prefix}-labels-idx1-ubyte", np.arange(len(part), dtype=np.uint8), packed)
    return pixels[:, None]


def svhn(
    root: Path,
    patch: pytest.MonkeyPatch,
    side: int = 32,
    labels: tuple[int, ...] = (1, 2, 10, 9),
) -> np.ndarray:
    """Four training images and two test images; the file says 10 for a nought."""
    pixels = np.random.default_rng(2).integers(0, 256, (6, 3, side, side), dtype=np.uint8)
    files = {}
    for split, part in (("train", pixels[:4]), ("test", pixels[4:])):
        path = root / f"{split}_32x32.mat"
        column = np.array([[label] for label in labels[: len(part)]], dtype=np.uint8)
        savemat(path, {"X": part.transpose(2, 3, 1, 0), "y": column})
        files[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    patch.setattr(datasets.SVHN, "split_list", files)
    return pixels


def folder(root: Path, sizes: dict[str, tuple[int, int]], classes: tuple[str, ...] = ("cat", "dog")) -> None:
    """Two images (width, height) of each class in each part, whose red tells the class and whose blue the number."""
    for part, size in sizes.items():
        for shade, name in enumerate(classes):
            place = root / part / name
            place.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", size, (80 * shade, 100, 10 * number)).save(place / f"{number}.png")


def registered(name: str, builder: Callable[[DataSpec, Path, bool], Source], **fields: object) -> Data:
    """The data of a builder that is registered for this test."""
    register_dataset(name, builder)
    return load_data(user_data(name).model_validate(fields), Path("root"))
