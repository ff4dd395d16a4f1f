"""Damaged data: each of many kinds of damage is one sentence that names what is wrong, and none hangs or trains."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import datasets

from compiler.searcher.data import DataError, MissingData, register_dataset
from compiler.searcher.data.load import load_data
from compiler.searcher.data.source import Items, Pixels, Source
from compiler.searcher.settings.datasets import Cifar10, Cifar100, Folder, Mnist, Svhn, user_data
from tests.support.datasets import cifar, everything, folder, idx, mnist, pickled, svhn

Damage = Callable[[Path], object]


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dataset that happens to be installed on this machine."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def socket_of(path: Path) -> None:
    path.unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(path.parent)  # The path of a socket may have some hundred bytes.
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def link(target: str) -> Damage:
    def damage(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return damage


def directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def cut(length: int) -> Damage:
    """Keep the first bytes, or leave out the last."""
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def content(data: bytes) -> Damage:
    return lambda path: path.write_bytes(data)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


HUGE_PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
HUGE_PNG += chunk(b"IDAT", zlib.compress(b""))

SPECIAL: dict[str, tuple[Damage, str]] = {
    "FIFO": (fifo, "is a FIFO"),
    "socket": (socket_of, "is a socket"),
    "device": (link("/dev/zero"), "is a device"),
    "directory": (directory, "is a directory"),
    "dangling link": (link("nowhere"), "is a link to nothing"),
    "link to itself": (lambda path: link(path.name)(path), r"cannot be read: Too many levels"),
    "unreadable": (link("/proc/self/mem"), r"cannot be read: (Input/output error|Permission denied)"),
}

# Image files


def save(form: str, **options: object) -> Damage:
    """The same noise in another format, whole."""

    def damage(path: Path) -> None:
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path, form, **options)

    return damage


def both(*damages: Damage) -> Damage:
    def damage(path: Path) -> None:
        for one in damages:
            one(path)

    return damage


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))


IMAGES: dict[str, tuple[Damage, str]] = {
    **SPECIAL,
    "empty": (content(b""), "is empty"),
    "text": (content(b"no image at all"), "is no image of a known format"),
    "web page": (content(b"<!DOCTYPE html><html><body>404</body></html>"), "is no image of a known format"),
    "zeros": (content(bytes(5000)), "is no image of a known format"),
    "png without pixels": (both(save("PNG"), cut(33)), "is no image of a known format"),
    "png cut within its pixels": (both(save("PNG"), cut(-2000)), "is damaged"),
    "png of flipped bits": (both(save("PNG"), flipped), "is damaged"),
    "png of too many pixels": (content(HUGE_PNG), r"has more than [\d,]+ pixels"),
    "jpeg cut": (both(save("JPEG"), cut(700)), "is damaged: image file is truncated"),
    "jpeg cut within its header": (both(save("JPEG"), cut(20)), "is damaged|is no image"),
    "bmp cut": (both(save("BMP"), cut(200)), "is damaged: image file is truncated"),
    "tiff cut": (both(save("TIFF"), cut(300)), "is damaged"),
    "webp cut": (both(save("WEBP"), cut(-500)), "is damaged|is no image"),
    "ppm cut": (both(save("PPM"), cut(100)), "is damaged"),
    "ppm of words": (content(b"P6\nwide high\n255\n"), "is damaged|is no image"),
    "floats": (lambda path: Image.new("F", (8, 8)).save(path, "TIFF"), "has floating-point numbers as pixels"),
    "32 bits": (lambda path: Image.new("I", (8, 8)).save(path, "TIFF"), "has whole numbers of 32 bits as pixels"),
}


@pytest.mark.parametrize("spec", [Folder(), Folder(crop=1)], ids=["random", "centre"])
@pytest.mark.parametrize("damage", IMAGES)
def test_a_broken_image_is_named_and_can_be_skipped(damage: str, spec: Folder, tmp_path: Path) -> None:
    folder(tmp_path, {"train": (40, 40), "val": (40, 40)})
    broken = tmp_path / "train" / "dog" / "1.png"
    make, why = IMAGES[damage]
    make(broken)
    with pytest.raises(DataError, match=rf"^1 of 8 images of folder cannot be used: {broken} ({why})[^\n]*leaves them"):
        load_data(spec, tmp_path, input_shape=(3, 8, 8))
    data = load_data(spec.replace("skip_broken", True), tmp_path, input_shape=(3, 8, 8))
    assert everything(data, "train")[1].tolist() == [0, 0, 1]
    assert len(data.warnings) == 1
    assert data.warnings[0].startswith(f"1 of 8 images of folder cannot be used: {broken} ")
    assert data.warnings[0].endswith("they are left out")


@pytest.mark.parametrize("damage", ["empty", "png cut within its pixels", "jpeg cut"])
def test_images_that_do_not_fit_in_memory_are_decoded_once_before_the_run(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from compiler.searcher.data import load
    from compiler.searcher.data.resolution import prepared

    folder(tmp_path, {"train": (40, 40), "val": (40, 40)})
    IMAGES[damage][0](tmp_path / "val" / "cat" / "0.png")
    monkeypatch.setattr(load, "prepared", lambda samples, size: prepared(samples, size, memory=10))
    with pytest.raises(DataError, match=r"^1 of 8 images of folder cannot be used: .*val/cat/0\.png"):
        load_data(Folder(), tmp_path, input_shape=(3, 8, 8))


def test_many_broken_images_are_counted_and_some_named(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for path in tmp_path.glob("*/*/1.png"):
        path.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"^4 of 8 images .*: .*1.png is empty; .*; .*; and 1 more; `skip_broken = true`"
    ):
        load_data(Folder(), tmp_path, input_shape=(3, 8, 8))


def test_a_class_without_a_whole_image_is_not_skipped(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for path in tmp_path.glob("train/dog/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"^no image of the class 'dog' can be used: .*dog/0.png is empty$"):
        load_data(Folder(skip_broken=True), tmp_path, input_shape=(3, 8, 8))


@pytest.mark.parametrize("damage", [fifo, content(b""), link("nowhere"), link("folder")], ids=range(4))
@pytest.mark.parametrize("place", ["", "train"])
def test_a_folder_that_is_none(damage: Damage, place: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    damage(tmp_path / "folder" / place if place else tmp_path / "other")
    with pytest.raises(DataError, match=r"holds no image data|cannot be read: Not a directory"):
        load_data(Folder(path="folder" if place else "other"), tmp_path, input_shape=(3, 8, 8))


# IDX files


def header(magic: int, *shape: int) -> bytes:
    return struct.pack(f">{len(shape) + 1}I", magic, *shape)


IDX: dict[str, tuple[Damage, str]] = {
    **SPECIAL,
    "empty": (content(b""), "is no IDX file of 3 dimensions: it starts with the bytes none"),
    "text": (content(b"<!DOCTYPE html>"), "is no IDX file of 3 dimensions: it starts with the bytes 3c 21 44 4f"),
    "labels in place of images": (content(header(0x801, 4) + bytes(4)), r"is no IDX file .* 00 00 08 01, not 00 00 08"),
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
    assert not isinstance(refused.value, MissingData)


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
        with pytest.raises(DataError, match=rf"^cifar10 (cannot be read|in {tmp_path} is not whole): {path} {why}"):
            load_data(Cifar10(), tmp_path, download=download)


def test_a_file_with_another_checksum_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    svhn(tmp_path, monkeypatch)
    for spec, path in (
        (Cifar10(), tmp_path / "cifar-10-batches-py" / "data_batch_1"),
        (Svhn(), tmp_path / "train_32x32.mat"),
    ):
        flipped(path)
        why = "is damaged: its checksum is another"
        with pytest.raises(MissingData, match=rf"^{spec.word} in {tmp_path} is not whole: {path} {why}$") as damaged:
            load_data(spec, tmp_path)
        assert damaged.value.can_download
        path.unlink()
        with pytest.raises(MissingData, match=rf"^{spec.word} in {tmp_path} is not whole: {path} is missing$"):
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


# Datasets of users

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
    "a float of pairs": (lambda: pairs((ONE, 0.5)), "image 0 has the label 0.5, which is no number of a class"),
    "a name of pairs": (lambda: pairs((ONE, "cat")), "image 0 has the label 'cat', which is no number of a class"),
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
