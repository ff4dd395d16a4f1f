"""Data: the real readers on small files in the true formats, the transforms, the division, the order of a loader."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import re
import struct
import sys
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from torch import Tensor
from torchvision import datasets

from compiler.searcher.data import DataError, DataSpec, MissingData, register_dataset
from compiler.searcher.data.load import Data, halves, load_data, loader
from compiler.searcher.data.source import Items, Pixels, Source
from compiler.searcher.data.transforms import Cutout, RandomMirror, RandomShift
from compiler.searcher.settings import datasets as specs
from compiler.searcher.settings.datasets import (
    BUILT_IN,
    Cifar10,
    Cifar100,
    Digits,
    Fake,
    FashionMnist,
    Folder,
    Mnist,
    Svhn,
    user_data,
)
from compiler.searcher.settings.sections import read_search
from compiler.searcher.settings.words import Applied
from hdas_dsl.text.source import NOWHERE
from tests.support.paths import ROOT

CIFAR_MEAN, CIFAR_STD = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])


def everything(data: Data, part: str = "test") -> tuple[Tensor, Tensor]:
    dataset = getattr(data, part)
    images, labels = dataset.__getitems__(range(len(dataset)))
    assert isinstance(images, Tensor)
    return images, labels


def normalised(pixels: np.ndarray, mean: Tensor, std: Tensor) -> Tensor:
    """Images [n, c, h, w] of bytes as a network sees them, by the formula."""
    return (torch.from_numpy(pixels).double() / 255 - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)


# Files in the formats of the datasets


def pickled(path: Path, content: object) -> list[str]:
    """Writes a pickle and gives the entry of torchvision's list of files."""
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return [path.name, hashlib.md5(path.read_bytes()).hexdigest()]


def cifar(root: Path, patch: pytest.MonkeyPatch, kind: str) -> np.ndarray:
    """Five training images and five test images; torchvision expects the checksums of these files in the test only."""
    pixels = np.random.default_rng(0).integers(0, 256, (10, 3 * 32 * 32), dtype=np.uint8)
    if kind == "CIFAR10":
        place, key, meta = root / "cifar-10-batches-py", "labels", {"label_names": [f"class{i}" for i in range(10)]}
        names, metafile = ("data_batch_1", "test_batch"), "batches.meta"
    else:
        place, key, meta = root / "cifar-100-python", "fine_labels", {"fine_label_names": [f"c{i}" for i in range(100)]}
        names, metafile = ("train", "test"), "meta"
    first, second = (
        pickled(place / name, {"data": part, key: [0, 1, 2, 3, 9]})
        for name, part in zip(names, np.split(pixels, 2), strict=True)
    )
    name, checksum = pickled(place / metafile, meta)
    cls = getattr(datasets, kind)
    patch.setattr(cls, "train_list", [first])
    patch.setattr(cls, "test_list", [second])
    patch.setattr(cls, "meta", {**cls.meta, "filename": name, "md5": checksum})
    return pixels.reshape(10, 3, 32, 32)


def idx(path: Path, array: np.ndarray) -> None:
    """An IDX file, as MNIST has them."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.tobytes())


def mnist(root: Path, folder: str) -> np.ndarray:
    pixels = np.random.default_rng(1).integers(0, 256, (6, 28, 28), dtype=np.uint8)
    for prefix, part in (("train", pixels[:4]), ("t10k", pixels[4:])):
        idx(root / folder / "raw" / f"{prefix}-images-idx3-ubyte", part)
        idx(root / folder / "raw" / f"{prefix}-labels-idx1-ubyte", np.arange(len(part), dtype=np.uint8))
    return pixels[:, None]


def svhn(root: Path, patch: pytest.MonkeyPatch) -> np.ndarray:
    pixels = np.random.default_rng(2).integers(0, 256, (6, 3, 32, 32), dtype=np.uint8)
    files = {}
    for split, part in (("train", pixels[:4]), ("test", pixels[4:])):
        path = root / f"{split}_32x32.mat"
        labels = np.array([[1], [2], [10], [9]][: len(part)], dtype=np.uint8)  # The file says 10 for a nought.
        savemat(path, {"X": part.transpose(2, 3, 1, 0), "y": labels})
        files[split] = ["", path.name, hashlib.md5(path.read_bytes()).hexdigest()]
    patch.setattr(datasets.SVHN, "split_list", files)
    return pixels


def folder(root: Path, sizes: dict[str, tuple[int, int]], classes: tuple[str, ...] = ("cat", "dog")) -> None:
    for part, size in sizes.items():
        for shade, name in enumerate(classes):
            place = root / part / name
            place.mkdir(parents=True)
            for number in range(2):
                Image.new("RGB", size, (80 * shade, 100, 10 * number)).save(place / f"{number}.png")


# The known datasets


@pytest.mark.parametrize(("spec", "kind", "classes"), [(Cifar10(), "CIFAR10", 10), (Cifar100(), "CIFAR100", 100)])
def test_cifar(spec: DataSpec, kind: str, classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = cifar(tmp_path, monkeypatch, kind)
    data = load_data(spec, tmp_path)
    assert (len(data.train), len(data.test), data.classes, data.shape) == (5, 5, classes, (3, 32, 32))
    images, labels = everything(data)
    assert labels.tolist() == [0, 1, 2, 3, 9]
    assert images.dtype == torch.float32
    if kind == "CIFAR10":
        torch.testing.assert_close(images.double(), normalised(pixels[5:], CIFAR_MEAN, CIFAR_STD), rtol=0, atol=1e-5)


def test_a_damaged_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    with (tmp_path / "cifar-10-batches-py" / "data_batch_1").open("ab") as file:
        file.write(b"x")
    with pytest.raises(MissingData, match="cifar10 is not in"):
        load_data(Cifar10(), tmp_path)


@pytest.mark.parametrize(
    ("spec", "place", "mean", "std"),
    [(Mnist(), "MNIST", 0.1307, 0.3081), (FashionMnist(), "FashionMNIST", 0.286, 0.353)],
)
def test_mnist(spec: DataSpec, place: str, mean: float, std: float, tmp_path: Path) -> None:
    pixels = mnist(tmp_path, place)
    data = load_data(spec, tmp_path)
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 2, 10, (1, 28, 28))
    images, labels = everything(data)
    assert labels.tolist() == [0, 1]
    expected = normalised(pixels[4:], torch.tensor([mean]), torch.tensor([std]))
    torch.testing.assert_close(images.double(), expected, rtol=0, atol=1e-5)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[str]:
    """Serves the folder of the test on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_mnist_as_it_is_downloaded(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files come compressed; here from a mirror of our own."""
    mnist(tmp_path / "there", "MNIST")
    resources = []
    for path in sorted((tmp_path / "there" / "MNIST" / "raw").iterdir()):
        packed = path.with_suffix(".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{mirror}there/MNIST/raw/"])
    assert len(load_data(Mnist(), tmp_path / "here", download=True).train) == 4
    assert len(load_data(Mnist(), tmp_path / "here").train) == 4


def test_a_download_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{tmp_path}/nowhere/"])
    with pytest.raises(MissingData, match=r"^mnist could not be downloaded to"):
        load_data(Mnist(), tmp_path, download=True)


def test_a_short_idx_file_is_refused(tmp_path: Path) -> None:
    mnist(tmp_path, "MNIST")
    path = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MissingData, match="mnist is not in"):
        load_data(Mnist(), tmp_path)


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = svhn(tmp_path, monkeypatch)
    data = load_data(Svhn(), tmp_path)
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 2, 10, (3, 32, 32))
    assert everything(data, "train")[1].tolist() == [1, 2, 0, 9]
    mean, std = torch.tensor([0.4377, 0.4438, 0.4728]), torch.tensor([0.1980, 0.2010, 0.1970])
    torch.testing.assert_close(everything(data)[0].double(), normalised(pixels[4:], mean, std), rtol=0, atol=1e-5)


def test_folder(tmp_path: Path) -> None:
    folder(tmp_path / "pets", {"train": (50, 40), "val": (30, 60)})
    data = load_data(Folder(path="pets"), tmp_path, input_shape=(3, 16, 16))
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 4, 2, (3, 16, 16))
    images, labels = everything(data)
    assert labels.tolist() == [0, 0, 1, 1]
    expected = (torch.tensor([80, 100, 10]) / 255 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor(
        [0.229, 0.224, 0.225]
    )
    torch.testing.assert_close(images[3, :, 8, 8], expected)
    torch.manual_seed(0)
    changed, again = everything(data, "train")[0], everything(data, "train")[0]
    assert changed.shape == (4, 3, 16, 16)
    assert not changed.equal(again)
    assert load_data(Folder(path="pets"), tmp_path).shape == (3, 224, 224)
    assert load_data(Folder(path="pets", size=20, crop=2), tmp_path).shape == (3, 20, 20)
    assert load_data(Folder(path="pets", jitter=0), tmp_path, input_shape=(3, 8, 12)).train[0][0].shape == (3, 8, 12)


def test_a_folder_has_classes_in_both_parts(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8)})
    with pytest.raises(
        MissingData, match=r"holds no image data: images are expected in .*train/CLASS and .*val/CLASS$"
    ):
        load_data(Folder(), tmp_path)
    folder(tmp_path, {"val": (8, 8)}, ("cat", "cow"))
    with pytest.raises(DataError, match=r"differ: cow, dog$"):
        load_data(Folder(), tmp_path)


def test_digits() -> None:
    data = load_data(Digits(), Path("nowhere"))
    assert (len(data.train), len(data.test), data.classes, data.shape) == (1437, 360, 10, (1, 8, 8))
    images, labels = everything(data, "train")
    assert images.mean().item() == pytest.approx(0, abs=1e-4)
    assert images.std().item() == pytest.approx(1, abs=1e-4)
    share = torch.bincount(everything(data)[1]) / torch.bincount(torch.cat([labels, everything(data)[1]]))
    assert share.sub(0.2).abs().max() < 0.01
    assert images.equal(everything(load_data(Digits(), Path("nowhere")), "train")[0])
    assert data.train[5][0].equal(images[5])


def test_fake_data_can_be_learnt_and_do_not_change() -> None:
    data = load_data(Fake(classes=3, count=30, channels=1), Path("nowhere"))
    assert (len(data.train), len(data.test), data.classes, data.shape) == (30, 7, 3, (1, 32, 32))
    train, labels = everything(data, "train")
    test, wanted = everything(data)
    centres = torch.stack([train[labels == label].mean(0) for label in range(3)])
    assert torch.cdist(test.flatten(1), centres.flatten(1)).argmin(1).equal(wanted)
    assert train.equal(everything(load_data(Fake(classes=3, count=30, channels=1), Path("nowhere")), "train")[0])


@pytest.mark.parametrize("spec", [Cifar10(), Cifar100(), Mnist(), FashionMnist(), Svhn()], ids=lambda spec: spec.word)
def test_missing_data_say_how_to_get_them(spec: DataSpec, tmp_path: Path) -> None:
    with pytest.raises(MissingData) as missing:
        load_data(spec, tmp_path)
    assert str(missing.value) == f"{spec.word} is not in {tmp_path}, or not whole"
    assert missing.value.can_download


def test_a_training_image_of_a_folder_is_a_crop_of_it(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)}, ("one",))
    halved = Image.fromarray(np.repeat(np.array([[0, 255]], dtype=np.uint8), 16, axis=1).repeat(32, axis=0))
    for path in tmp_path.glob("*/one/*.png"):
        halved.save(path)

    def spread(spec: Folder) -> float:
        """How far apart the shares of the light half are that training images show."""
        torch.manual_seed(0)
        data = load_data(spec, tmp_path, input_shape=(3, 16, 16))
        shares = torch.cat([everything(data, "train")[0].gt(0).float().mean((1, 2, 3)) for _ in range(10)])
        return (shares.max() - shares.min()).item()

    assert spread(Folder(flip=False, jitter=0.0)) > 0.3
    assert spread(Folder(flip=False, jitter=0.0, crop=1)) < 0.15


def test_what_changes_training_images_where_nothing_is_said() -> None:
    changes = {(model.word, spec.crop, spec.flip, spec.cutout) for model in BUILT_IN for spec in [model()]}
    assert changes == {
        ("digits", 0, False, 0),
        ("cifar10", 4, True, 0),
        ("cifar100", 4, True, 0),
        ("mnist", 2, False, 0),
        ("fashion_mnist", 2, True, 0),
        ("svhn", 4, False, 0),
        ("folder", 0, True, 0),
        ("fake", 0, False, 0),
    }


# The shape a network takes


def test_grey_digits_for_a_colour_network() -> None:
    plain = everything(load_data(Digits(), Path()))[0]
    images = everything(load_data(Digits(), Path(), input_shape=(3, 32, 16)))[0]
    assert images.shape == (360, 3, 32, 16)
    assert images[:, 0].equal(images[:, 2])
    pooled = torch.nn.functional.adaptive_avg_pool2d(images[:, :1], 8)
    assert torch.corrcoef(torch.stack([plain.flatten(), pooled.flatten()]))[0, 1] > 0.9


def test_size_alone_resizes() -> None:
    assert load_data(Digits(size=16), Path()).train[0][0].shape == (1, 16, 16)
    assert load_data(Fake(size=12), Path(), input_shape=(3, 12, 12)).shape == (3, 12, 12)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"^digits\(size = 16\) has size 16, but the network takes 8x8$"):
        load_data(Digits(size=16), Path(), input_shape=(1, 8, 8))
    with pytest.raises(DataError, match=r"^fake has 3 channels, but the network takes 1$"):
        load_data(Fake(), Path(), input_shape=(1, 32, 32))


# The transforms


def test_a_shift_pads_with_128_before_normalisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cifar(tmp_path, monkeypatch, "CIFAR10")
    padded = (128 / 255 - CIFAR_MEAN) / CIFAR_STD
    torch.manual_seed(0)
    images, _ = everything(load_data(Cifar10(crop=40, flip=False), tmp_path), "train")
    corner = images[:, :, [0, 0, -1, -1], [0, -1, 0, -1]]
    assert (corner - padded.view(3, 1)).abs().amax(1).lt(1e-6).any(1).all()


def test_every_shift_is_a_window_of_the_padded_image() -> None:
    torch.manual_seed(0)
    image = torch.arange(3 * 5 * 6, dtype=torch.uint8).view(3, 5, 6)
    padded = torch.nn.functional.pad(image, [2] * 4, value=200)
    windows = {tuple(padded[:, y : y + 5, x : x + 6].flatten().tolist()) for y in range(5) for x in range(5)}
    shifted = RandomShift(2, 200)(image.expand(500, -1, -1, -1))
    assert {tuple(one.flatten().tolist()) for one in shifted} == windows


def test_half_of_the_images_are_mirrored() -> None:
    torch.manual_seed(0)
    images = torch.arange(6).view(1, 1, 2, 3).expand(1000, -1, -1, -1)
    mirrored = (RandomMirror()(images) == images.flip(-1)).all(-1).all(-1).flatten()
    unchanged = (RandomMirror()(images) == images).all(-1).all(-1).flatten()
    assert 400 < mirrored.sum() < 600
    assert 400 < unchanged.sum() < 600


@pytest.mark.parametrize("side", [1, 4, 5, 16])
def test_cutout_is_a_clipped_square_around_a_pixel(side: int) -> None:
    torch.manual_seed(0)
    holes = Cutout(side)(torch.ones(2000, 3, 8, 9)) == 0
    assert holes.equal(holes[:, :1].expand(-1, 3, -1, -1))
    rows, columns = holes[:, 0].any(2), holes[:, 0].any(1)
    assert holes[:, 0].equal(rows.unsqueeze(2) & columns.unsqueeze(1))

    def spans(length: int) -> set[tuple[bool, ...]]:
        starts = [centre - side // 2 for centre in range(length)]
        return {tuple(start <= at < start + side for at in range(length)) for start in starts}

    assert {tuple(row.tolist()) for row in rows} == spans(8)
    assert {tuple(column.tolist()) for column in columns} == spans(9)


def test_cutout_is_zero_after_normalisation_and_spares_the_test_set() -> None:
    torch.manual_seed(0)
    data = load_data(Digits(cutout=4), Path(), input_shape=(3, 8, 8))
    assert (everything(data, "train")[0] == 0).all(1).flatten(1).sum(1).min() >= 4
    assert not (everything(data)[0] == 0).any()


def test_changes_depend_on_the_global_generator_alone() -> None:
    data = load_data(Fake(crop=2, flip=True, cutout=8), Path())
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append(everything(data, "train")[0])
    assert runs[0].equal(runs[1])
    assert not everything(data, "train")[0].equal(runs[0])
    assert everything(data)[0].equal(everything(data)[0])


# Division and order


def test_halves_are_disjoint_complete_and_seeded() -> None:
    data = load_data(Fake(count=101), Path())
    weights, alphas = halves(data, 0.3, seed=1)
    assert (len(weights), len(alphas)) == (30, 71)
    assert sorted([*weights.indices, *alphas.indices]) == list(range(101))
    assert halves(data, 0.3, seed=1)[0].indices == weights.indices != halves(data, 0.3, seed=2)[0].indices
    with pytest.raises(DataError, match=r"^fake has 2 training images: a split of 0.1 leaves one part empty$"):
        halves(load_data(Fake(count=2), Path()), 0.1, seed=0)


def order(epoch: int, seed: int = 0, **options: bool) -> list[list[int]]:
    """The images of each batch, recognised by a label of their own."""
    numbers = Pixels(torch.zeros(10, 1, 2, 2, dtype=torch.uint8), torch.arange(10))
    data = registered("numbers", lambda *_: Source(numbers, numbers, 10))
    return [labels.tolist() for _, labels in loader(data.train, 4, seed=seed, epoch=epoch, **options)]


def test_the_order_is_a_function_of_seed_and_epoch(own_names: None) -> None:
    first = order(0)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(chain(*first)) == list(range(10))
    torch.rand(5)
    assert order(0) == first
    assert len({str(order(epoch, seed)) for epoch in range(3) for seed in range(3)}) == 9
    assert order(0, shuffle=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert order(0, drop_last=True) == first[:2]


def test_a_loader_leaves_the_global_generator_alone() -> None:
    data = load_data(Fake(), Path())
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    assert len(list(loader(data.train, 64, seed=0, epoch=0))) == 4
    assert torch.rand(3).equal(wanted)


def test_a_loader_reads_halves_a_batch_at_a_time() -> None:
    weights, alphas = halves(load_data(Digits(), Path()), 0.5, seed=0)
    images, labels = next(iter(loader(weights, 64, seed=0, epoch=0)))
    assert images.shape == (64, 1, 8, 8)
    assert labels.shape == (64,)
    assert sum(len(labels) for _, labels in loader(alphas, 64, seed=0, epoch=0)) == 719


def test_workers_repeat_an_epoch() -> None:
    data = load_data(Fake(crop=2, cutout=8), Path())
    runs = [[images for images, _ in loader(data.train, 64, seed=0, epoch=1, workers=2)] for _ in range(2)]
    assert all(one.equal(other) for one, other in zip(*runs, strict=True))
    assert not runs[0][0].equal(next(iter(loader(data.train, 64, seed=0, epoch=2, workers=2)))[0])


# Datasets of users


@pytest.fixture
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry for one test."""
    monkeypatch.setattr(specs, "_registered", {})


def registered(name: str, builder: Callable[[DataSpec, Path, bool], Source], **fields: object) -> Data:
    register_dataset(name, builder)
    return load_data(user_data(name).model_validate(fields), Path("root"))


def test_a_builder_that_returns_something_else_is_refused(own_names: None) -> None:
    register_dataset("wrong", lambda spec, root, download: [1, 2])
    with pytest.raises(DataError, match="builder of 'wrong' returns list, not a Source"):
        load_data(user_data("wrong")(), Path("root"))


def test_the_example_of_the_readme(own_names: None) -> None:
    readme = (ROOT / "compiler" / "searcher" / "data" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    exec(code, {"__name__": "example"})
    settings, wrong = read_search({"data": (Applied("stripes", (), {"split": 0.5, "crop": 1}), NOWHERE)})
    assert wrong == []
    assert settings.data.describe() == "stripes(crop = 1)"
    data = load_data(settings.data, Path())
    assert (data.name, len(data.train), len(data.test), data.classes, data.shape) == ("stripes", 80, 20, 2, (1, 8, 8))


def test_a_users_dataset_of_pairs(own_names: None) -> None:
    pairs = [(Image.new("L", (5, 4), 255), 1), (torch.zeros(1, 4, 5, dtype=torch.uint8), 0)]
    seen = []

    def builder(spec: DataSpec, root: Path, download: bool) -> Source:
        seen.append((spec.model_dump()["path"], root, download))
        return Source(Items(pairs), Items(pairs), 2)  # type: ignore[arg-type]

    data = registered("pairs", builder, path="x")
    assert seen == [("x", Path("root"), False)]
    images, labels = everything(data)
    assert images.shape == (2, 1, 4, 5)
    assert images.flatten(1).mean(1).tolist() == [1.0, 0.0]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize("name", [*(model.word for model in BUILT_IN), "a-b", ""])
def test_names_that_cannot_be_registered(name: str, own_names: None) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        register_dataset(name, lambda *_: None)  # type: ignore[arg-type]


def test_an_installed_dataset_is_imported_only_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hdas_dsl.datasets]\nmine = mine_data:build\n")
    (tmp_path / "mine_data.py").write_text(
        "import torch\n"
        "from compiler.searcher.data.source import Pixels, Source\n"
        "def build(spec, root, download):\n"
        "    pixels = Pixels(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))\n"
        "    return Source(pixels, pixels, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings, wrong = read_search({"data": (Applied("mine"), NOWHERE)})
    assert wrong == []
    assert settings.data.describe() == "mine"
    assert "mine_data" not in sys.modules
    assert load_data(settings.data, Path()).shape == (1, 2, 2)
    assert sys.modules.pop("mine_data")


def test_a_network_of_positions_has_labels_at_each():
    data = load_data(Fake(classes=3, count=6, channels=1, size=8), Path("nowhere"))
    images, labels = data.everywhere((2, 4)).train.__getitems__([0, 1, 2])
    plain_images, plain = data.train.__getitems__([0, 1, 2])
    assert torch.equal(images, plain_images)
    assert labels.shape == (3, 2, 4)
    assert all(torch.equal(labels[:, i, j], plain) for i in range(2) for j in range(4))
