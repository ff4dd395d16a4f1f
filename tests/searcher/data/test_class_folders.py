"""Where the images of a folder are found: the layouts that are understood, and what is said of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image
from torchvision import datasets

from compiler.searcher.data import DataError, MissingDataError
from compiler.searcher.data.image_files import ImageFiles
from compiler.searcher.data.load import load_data
from compiler.searcher.settings.datasets import Folder
from tests.support.datasets import everything, folder, levels

PLAIN = Folder(flip=False, jitter=0.0, crop=1)


@pytest.mark.parametrize(("train", "test"), [
    ("train", "val"), ("train", "validation"), ("train", "valid"), ("train", "test"), ("training", "validation"),
    ("training", "testing"), ("Train", "Test"),
])  # fmt: skip
def test_two_parts_by_each_name(train: str, test: str, tmp_path: Path) -> None:
    folder(tmp_path, {train: (8, 8), test: (8, 8)})
    (tmp_path / test / "dog" / "0.png").unlink()
    data = load_data(PLAIN, tmp_path, input_shape=(3, 8, 8))
    assert (len(data.train), len(data.test), data.classes) == (4, 3, 2)


def test_validation_comes_before_test(tmp_path: Path) -> None:
    """The test images of ImageNet have no labels."""
    folder(tmp_path, {"train": (8, 8), "val": (8, 8), "test": (8, 8)}, ("one",))
    shutil.rmtree(tmp_path / "test" / "one")
    (tmp_path / "test" / "unlabelled").mkdir()
    assert len(load_data(PLAIN, tmp_path, input_shape=(3, 8, 8)).test) == 2


def flat(root: Path, sizes: dict[str, int]) -> None:
    """Images 0.png, ... of each class, all different, without parts."""
    for label, (name, count) in enumerate(sizes.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.new("RGB", (8, 8), (label, number, 0)).save(root / name / f"{number}.png")


def test_classes_alone_hold_out_a_fifth_of_each(tmp_path: Path) -> None:
    flat(tmp_path, {"many": 20, "few": 5, "one": 1})
    data = load_data(PLAIN, tmp_path, input_shape=(3, 8, 8))
    assert data.test.samples.labels.bincount(minlength=3).tolist() == [1, 4, 0]  # few, many, one
    assert (len(data.train), data.classes) == (21, 3)
    assert data.warnings == ("no test image is of the class 'one'",)
    colours = [{tuple(image[:, 4, 4].tolist()) for image in levels(data, part)} for part in ("train", "test")]
    assert len(colours[0] | colours[1]) == 26
    assert not colours[0] & colours[1]


def test_what_is_held_out_is_the_same_for_every_seed_of_a_run(tmp_path: Path) -> None:
    flat(tmp_path, {"a": 30, "b": 30})
    parts = [everything(load_data(PLAIN, tmp_path, input_shape=(3, 8, 8), seed=seed))[0] for seed in (0, 1)]
    assert parts[0].equal(parts[1])


def test_classes_that_are_named_like_parts(tmp_path: Path) -> None:
    flat(tmp_path, {"car": 5, "train": 5, "test": 5})
    assert load_data(PLAIN, tmp_path, input_shape=(3, 8, 8)).classes == 3


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for place in (tmp_path, tmp_path / "train", tmp_path / "val" / "cat"):
        (place / ".ipynb_checkpoints").mkdir()
        (place / ".ipynb_checkpoints" / "0-checkpoint.png").write_bytes(b"none")
    (tmp_path / "train" / "cat" / "._0.png").write_bytes(b"none")
    (tmp_path / "train" / ".DS_Store").write_bytes(b"none")
    data = load_data(PLAIN, tmp_path, input_shape=(3, 8, 8))
    assert (len(data.train), len(data.test), data.classes) == (4, 4, 2)


def test_files_are_found_in_the_order_of_torchvision(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for name in ("cat/b/1.png", "cat/b-1/0.PNG", "cat/b.c/2.png", "dog/10.png", "dog/B.png"):
        path = tmp_path / "train" / name
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(path)
    (tmp_path / "train" / "cat" / "notes.txt").write_text("no image")
    expected = datasets.ImageFolder(tmp_path / "train").samples
    samples = load_data(Folder(), tmp_path, input_shape=(3, 8, 8)).train.samples
    assert isinstance(samples, ImageFiles)
    found = zip(map(str, samples.files.paths), samples.labels.tolist(), strict=True)
    assert list(found) == [(str(path), label) for path, label in expected]


def test_links_are_followed_and_no_folder_is_read_twice(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    Image.new("RGB", (8, 8)).save(elsewhere / "2.png")
    cat = tmp_path / "train" / "cat"
    (cat / "more").symlink_to(elsewhere)
    (cat / "again").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(cat)
    (cat / "itself").symlink_to(cat / "itself")
    assert len(load_data(PLAIN, tmp_path, input_shape=(3, 8, 8)).train) == 5


def test_a_folder_has_classes_in_both_parts(tmp_path: Path) -> None:
    expected = r"holds no image data: images are expected in .*train/CLASS and .*val/CLASS, or in .*/CLASS$"
    with pytest.raises(MissingDataError, match=expected):
        load_data(Folder(path="nowhere"), tmp_path)
    folder(tmp_path, {"train": (8, 8)})
    with pytest.raises(MissingDataError, match=expected):
        load_data(Folder(), tmp_path)
    folder(tmp_path, {"val": (8, 8)}, ("cat", "cow"))
    with pytest.raises(DataError, match=r"differ: cow, dog$"):
        load_data(Folder(), tmp_path)


def test_empty_classes_are_named(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    for name in ("cow", "eel"):
        for part in ("train", "val"):
            (tmp_path / part / name).mkdir()
    with pytest.raises(
        DataError, match=r"^there is no image in .*train/cow, .*train/eel: the name of an image ends in"
    ):
        load_data(Folder(), tmp_path)
