"""Published datasets with damaged files: each kind of damage is one sentence that names the file, and none hangs."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from torchvision import datasets

from compiler.searcher.data import DataError, MissingDataError
from compiler.searcher.data.load import load_data
from compiler.searcher.settings.datasets import Cifar10, Cifar100, Mnist, Svhn
from tests.support.damage import SPECIAL, Damage, content, cut, flipped
from tests.support.datasets import cifar, idx, mnist, pickled, svhn


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dataset that happens to be installed on this machine."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))


# IDX files


def header(magic: int, *shape: int) -> bytes:
    return struct.pack(f">{len(shape) + 1}I", magic, *shape)


IDX: dict[str, tuple[Damage, str]] = {
    **SPECIAL,
    "empty": (content(b""), "is not an IDX file of 3 dimensions: it starts with the bytes none"),
    "text": (content(b"<!DOCTYPE html>"), "is not an IDX file of 3 dimensions: it starts with the bytes 3c 21 44 4f"),
    "labels in place of images": (content(header(0x801, 4) + bytes(4)), r"is not an IDX file .* 00 00 08 01, not 00"),
    "header cut": (cut(9), "ends within its header"),
    "cut": (cut(-1), "should hold 3,136 bytes after its header, but holds only 3,135"),
    "too long": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "should hold 3,136 .* but holds more"),
    "promises of terabytes": (content(header(0x803, 2**32 - 1, 2**32 - 1, 2**32 - 1)), "should hold [0-9,]{30,} bytes"),
    "images of another size": (lambda path: idx(path, np.zeros((4, 32, 32), np.uint8)), "they are 1x32x32, not 1x28x2"),
    "no images": (content(header(0x803, 0, 28, 28)), "there are 4 labels for 0 images"),
    "more images than labels": (lambda path: idx(path, np.zeros((5, 28, 28), np.uint8)), "there are 4 labels for 5 im"),
}  # fmt: skip


@pytest.mark.parametrize("damage", IDX)
def test_a_broken_idx_file(damage: str, tmp_path: Path) -> None:
    mnist(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    make, why = IDX[damage]
    make(path)
    with pytest.raises(DataError, match=rf"^(the images of )?{path} [^\n]*{why}[^\n]*$") as refused:
        load_data(Mnist(), tmp_path)
    assert not isinstance(refused.value, MissingDataError)


PACKED: dict[str, Damage] = {
    "not gzipped": content(header(0x803, 4, 28, 28) + bytes(3136)),
    "cut": cut(-10),
    "cut in the middle": cut(500),
    "another checksum": lambda path: path.write_bytes(path.read_bytes()[:-8] + bytes(8)),
    "flipped bits": flipped,
    "too much": content(gzip.compress(header(0x803, 4, 28, 28) + bytes(10**7))),
}


@pytest.mark.parametrize("damage", PACKED)
def test_a_broken_gzipped_idx_file(damage: str, tmp_path: Path) -> None:
    mnist(tmp_path, packed=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    PACKED[damage](path)
    with pytest.raises(DataError, match=rf"^{path} [^\n]*$"):
        load_data(Mnist(), tmp_path)


def test_labels_of_mnist_that_are_no_digits(tmp_path: Path) -> None:
    mnist(tmp_path)
    idx(tmp_path / "t10k-labels-idx1-ubyte", np.array([3, 10], np.uint8))
    with pytest.raises(
        DataError, match=r"^the images of .*t10k-images.* there is a label 10, but the classes are 0 to 9"
    ):
        load_data(Mnist(), tmp_path)


# CIFAR and SVHN


@pytest.mark.parametrize("damage", SPECIAL)
def test_files_of_cifar_that_are_none(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    path = tmp_path / "cifar-10-batches-py" / "test_batch"
    make, why = SPECIAL[damage]
    make(path)
    for download in (False,) if damage == "unreadable" else (False, True):
        with pytest.raises(DataError, match=rf"^cifar10 (cannot be read|in {tmp_path} is incomplete): {path} {why}"):
            load_data(Cifar10(), tmp_path, download=download)


def test_a_file_with_another_checksum_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    svhn(tmp_path, monkeypatch)
    for spec, path in (
        (Cifar10(), tmp_path / "cifar-10-batches-py" / "data_batch_1"),
        (Svhn(), tmp_path / "train_32x32.mat"),
    ):
        flipped(path)
        why = "is damaged: its checksum is wrong"
        with pytest.raises(
            MissingDataError, match=rf"^{spec.word} in {tmp_path} is incomplete: {path} {why}$"
        ) as damaged:
            load_data(spec, tmp_path)
        assert damaged.value.can_download
        path.unlink()
        with pytest.raises(MissingDataError, match=rf"^{spec.word} in {tmp_path} is incomplete: {path} is missing$"):
            load_data(spec, tmp_path)


@pytest.mark.parametrize(("options", "why"), [
    ({"labels": (0, 1, 2)}, "there are 3 labels for 5 images"),
    ({"labels": (0, 1, 2, 3, 4, 5)}, "there are 6 labels for 5 images"),
    ({"labels": (0, 1, 2, 3, 100)}, "there is a label 100, but the classes are 0 to 99"),
    ({"labels": (0, 1, 2, 3, -1)}, "there is a label -1, but the classes are 0 to 99"),
    ({"labels": (0, 1, 2, 3, 0.5)}, "their labels are of the type float32, not numbers of classes"),
    ({"side": 64}, "there are 5 labels for 20 images"),
    ({"side": 28}, "they are damaged, or of another format"),
], ids=str)  # fmt: skip
def test_cifar_of_something_else(
    options: dict[str, object], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR100", **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"^the images of cifar100 in .* cannot be used: {why}"):
        load_data(Cifar100(), tmp_path)


def test_cifar_files_that_hold_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    place = tmp_path / "cifar-10-batches-py"
    for number, wrong in enumerate(({"data": 3, "labels": []}, {"labels": [1]}, [1, 2], None)):
        entry = pickled(place / f"wrong{number}", wrong)
        monkeypatch.setattr(datasets.CIFAR10, "train_list", [entry])
        with pytest.raises(DataError, match=r"^the images of cifar10 in .* cannot be used: they are damaged, or of an"):
            load_data(Cifar10(), tmp_path)


@pytest.mark.parametrize(("options", "why"), [
    ({"labels": (1, 2)}, "there are 2 labels for 4 images"),
    ({"labels": (1, 2, 3, 11)}, "there is a label 11, but the classes are 0 to 9"),
    ({"side": 28}, "they are 3x28x28, not 3x32x32"),
], ids=str)  # fmt: skip
def test_svhn_of_something_else(
    options: dict[str, object], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    svhn(tmp_path, monkeypatch, **options)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=rf"^the images of svhn in .* cannot be used: {why}"):
        load_data(Svhn(), tmp_path)


@pytest.mark.parametrize("damage", [cut(100), cut(-50), content(b""), content(b"no file of MATLAB")], ids=range(4))
def test_files_that_are_not_matlabs(damage: Damage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even when their checksum is right."""
    svhn(tmp_path, monkeypatch)
    path = tmp_path / "test_32x32.mat"
    damage(path)
    monkeypatch.setattr("compiler.searcher.data.published.check_integrity", lambda *_: True)
    monkeypatch.setattr(datasets.SVHN, "_check_integrity", lambda *_: True)
    with pytest.raises(DataError, match=r"^the images of svhn in .* cannot be used: they are damaged, or of another"):
        load_data(Svhn(), tmp_path)
