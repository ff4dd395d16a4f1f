"""The published datasets, in small files of the true formats: their places, their pixels, and what is said without."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from torchvision import datasets

from compiler.searcher.data import DataSpec, MissingDataError
from compiler.searcher.data.idx import shared_folders, whole
from compiler.searcher.data.load import load_data
from compiler.searcher.data.source import Pixels
from compiler.searcher.settings.datasets import BUILT_IN, Cifar10, Cifar100, Digits, Fake, FashionMnist, Mnist, Svhn
from tests.support.datasets import cifar, everything, mnist, normalised, svhn

CIFAR_MEAN, CIFAR_STD = torch.tensor([0.4914, 0.4822, 0.4465]), torch.tensor([0.2470, 0.2435, 0.2616])


@pytest.fixture(autouse=True)
def no_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No dataset that happens to be installed on this machine."""
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path / "share"))


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


def test_svhn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = svhn(tmp_path, monkeypatch)
    data = load_data(Svhn(), tmp_path)
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 2, 10, (3, 32, 32))
    assert everything(data, "train")[1].tolist() == [1, 2, 0, 9]
    mean, std = torch.tensor([0.4377, 0.4438, 0.4728]), torch.tensor([0.1980, 0.2010, 0.1970])
    torch.testing.assert_close(everything(data)[0].double(), normalised(pixels[4:], mean, std), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("spec", "kind"), [(Cifar10(), "CIFAR10"), (Svhn(), "SVHN")], ids=["cifar10", "svhn"])
def test_each_image_is_in_one_place(spec: DataSpec, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files have channels, or even images, along their last dimension."""
    cifar(tmp_path, monkeypatch, "CIFAR10")
    svhn(tmp_path, monkeypatch)
    samples = load_data(spec, tmp_path).train.samples
    assert isinstance(samples, Pixels)
    assert samples.images.is_contiguous()


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
@pytest.mark.parametrize("place", ["NAME/raw", "WORD", "WORD-with-hyphen", "."])
@pytest.mark.parametrize(("spec", "name", "mean", "std"), [
    (Mnist(), "MNIST", 0.1307, 0.3081),
    (FashionMnist(), "FashionMNIST", 0.286, 0.353),
])  # fmt: skip
def test_mnist_in_each_layout(
    spec: DataSpec, name: str, mean: float, std: float, place: str, packed: bool, tmp_path: Path
) -> None:
    hyphened = spec.word.replace("_", "-")
    place = place.replace("NAME", name).replace("WORD-with-hyphen", hyphened).replace("WORD", spec.word)
    pixels = mnist(tmp_path / place, packed)
    data = load_data(spec, tmp_path)
    assert (len(data.train), len(data.test), data.classes, data.shape) == (4, 2, 10, (1, 28, 28))
    images, labels = everything(data)
    assert labels.tolist() == [0, 1]
    expected = normalised(pixels[4:], torch.tensor([mean]), torch.tensor([std]))
    torch.testing.assert_close(images.double(), expected, rtol=0, atol=1e-5)


def test_fashion_mnist_of_the_system_serves_where_the_root_has_none(tmp_path: Path) -> None:
    mnist(tmp_path / "share" / "datasets" / "fashion-mnist", packed=True)
    assert len(load_data(FashionMnist(), tmp_path / "data").train) == 4
    with pytest.raises(MissingDataError):
        load_data(Mnist(), tmp_path / "data")
    own = tmp_path / "data" / "fashion_mnist"
    mnist(own)
    (own / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(
        MissingDataError, match=r"^fashion_mnist in .*fashion_mnist is incomplete: t10k-labels-idx1-ubyte is"
    ):
        load_data(FashionMnist(), tmp_path / "data")


def test_fashion_mnist_as_debian_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_DATA_DIRS")
    if not any(map(whole, shared_folders("fashion-mnist"))):
        pytest.skip("Debian's package dataset-fashion-mnist is not installed here")
    data = load_data(FashionMnist(), tmp_path)
    assert (len(data.train), len(data.test)) == (60_000, 10_000)
    samples = data.train.samples
    assert isinstance(samples, Pixels)
    assert samples.labels.bincount().tolist() == [6000] * 10
    assert samples.images[:6000].float().mean().item() / 255 == pytest.approx(0.2860, abs=2e-3)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Serves the folder of the test on this machine, which no proxy does."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=tmp_path)) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_mnist_as_it_is_downloaded(mirror: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files come compressed; here from a mirror of our own."""
    raw = tmp_path / "there" / "MNIST" / "raw"
    mnist(raw)
    resources = []
    for path in sorted(raw.iterdir()):
        packed = path.with_suffix(".gz")
        packed.write_bytes(gzip.compress(path.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(datasets.MNIST, "resources", resources)
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"{mirror}there/MNIST/raw/"])
    assert len(load_data(Mnist(), tmp_path / "here", download=True).train) == 4
    assert len(load_data(Mnist(), tmp_path / "here").train) == 4


def test_a_download_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.MNIST, "mirrors", [f"file://{tmp_path}/nowhere/"])
    with pytest.raises(MissingDataError, match=r"^mnist could not be downloaded to"):
        load_data(Mnist(), tmp_path, download=True)


@pytest.mark.parametrize("spec", [Cifar10(), Cifar100(), Svhn()], ids=lambda spec: spec.word)
def test_missing_data_say_how_to_get_them(spec: DataSpec, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as missing:
        load_data(spec, tmp_path)
    assert str(missing.value) == f"{spec.word} is not in {tmp_path}"
    assert missing.value.can_download


def test_missing_mnist_names_each_layout_and_the_package(tmp_path: Path) -> None:
    messages = []
    for spec in (Mnist(), FashionMnist()):
        with pytest.raises(MissingDataError) as missing:
            load_data(spec, tmp_path)
        assert missing.value.can_download
        messages.append(str(missing.value).replace(str(tmp_path), "data"))
    assert messages == [
        "mnist is not in data: train-images-idx3-ubyte[.gz] and the three files that belong to it are read from "
        "data/MNIST/raw, as torchvision keeps them, from data/mnist or data",
        "fashion_mnist is not in data: train-images-idx3-ubyte[.gz] and the three files that belong to it are read "
        "from data/FashionMNIST/raw, as torchvision keeps them, from data/fashion_mnist or data, or from Debian's "
        "package dataset-fashion-mnist",
    ]


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
