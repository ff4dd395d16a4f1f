"""Which images a run uses, how they are divided, and the order of the batches of an epoch."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compiler.searcher.data import DataError
from compiler.searcher.data.image_files import ImageFiles
from compiler.searcher.data.load import Images, halves, load_data
from compiler.searcher.data.loader import batches_of, read_batches
from compiler.searcher.data.source import Items, Pixels, Source
from compiler.searcher.data.subsets import quotas
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.settings.datasets import Digits, Fake, Folder
from tests.support.datasets import folder, registered

# Some of the images


def test_a_number_of_images_or_a_share_of_each_class() -> None:
    whole = load_data(Digits(), Path())
    for limit, expected in ((1000, 1000), (0.1, 144), (1437, 1437)):
        data = load_data(Digits(images=limit), Path(), seed=3)
        assert (len(data.train), len(data.test)) == (expected, 360)
        counts, all_counts = (d.train.samples.labels.bincount() for d in (data, whole))
        assert (counts - all_counts * expected / 1437).abs().max() < 1


def test_which_images_is_a_function_of_the_seed() -> None:
    samples = [load_data(Digits(images=200), Path(), seed=seed).train.samples for seed in (0, 0, 1)]
    seeds = [each.images for each in samples if isinstance(each, Pixels)]
    assert seeds[0].equal(seeds[1])
    assert not seeds[0].equal(seeds[2])


def test_more_images_than_there_are_are_refused() -> None:
    for limit in (1438, 0.0001):
        with pytest.raises(DataError, match=r"^digits has 1437 training images: `images = [\d.e+-]+` cannot be taken"):
            load_data(Digits(images=limit), Path())


def test_only_the_images_of_a_folder_that_are_used_are_read(tmp_path: Path) -> None:
    folder(tmp_path, {"train": (8, 8), "val": (8, 8)})
    assert len(load_data(Folder(images=2), tmp_path, input_shape=(3, 8, 8)).train) == 2
    used = {}
    for label in (0, 1):
        samples = load_data(Folder(images=2), tmp_path, input_shape=(3, 8, 8)).train.samples
        assert isinstance(samples, ImageFiles)
        used[label] = samples.files.paths[label]
    assert [path.parent.name for path in used.values()] == ["cat", "dog"]
    for path in {*(tmp_path / "train").glob("*/*.png")} - {*used.values()}:
        path.write_bytes(b"none")
    assert len(load_data(Folder(images=2), tmp_path, input_shape=(3, 8, 8)).train) == 2


def test_some_of_a_users_pairs(own_names: None) -> None:
    pairs = [(torch.full((1, 2, 2), index, dtype=torch.uint8), index % 2) for index in range(20)]
    data = registered("pairs", lambda *_: Source(Items(pairs), Items(pairs), 2), images=6)  # type: ignore[arg-type]
    images, labels = data.train.__getitems__(range(6))
    assert labels.tolist() == (images[:, 0, 0, 0] * 255).round().int().remainder(2).tolist()
    assert sorted(labels.tolist()) == [0, 0, 0, 1, 1, 1]


def test_quotas_are_by_the_largest_remainder() -> None:
    assert quotas([10, 10, 10], 4) == [2, 1, 1]
    assert quotas([5, 3, 2], 5) == [3, 1, 1]
    assert quotas([1, 0, 99], 10) == [0, 0, 10]
    assert quotas([7, 5], 12) == [7, 5]


# Division and order


def test_halves_are_disjoint_complete_and_seeded() -> None:
    data = load_data(Fake(count=101), Path())
    weights, alphas = halves(data, 0.3, seed=1)
    assert (len(weights), len(alphas)) == (30, 71)
    assert sorted([*weights.indices.tolist(), *alphas.indices.tolist()]) == list(range(101))
    assert halves(data, 0.3, seed=1)[0].indices.equal(weights.indices)
    assert not halves(data, 0.3, seed=2)[0].indices.equal(weights.indices)
    with pytest.raises(DataError, match=r"^fake has 1 training image: a weights_share"):
        halves(load_data(Fake(count=1), Path()), 0.5, seed=1)
    with pytest.raises(DataError, match=r"^fake has 2 training images: a weights_share of 0.1 leaves one part empty$"):
        halves(load_data(Fake(count=2), Path()), 0.1, seed=0)


def numbered(count: int = 10) -> Images:
    """Images that are recognised by a label of their own."""
    numbers = Pixels(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.arange(count))
    return registered("numbers", lambda *_: Source(numbers, numbers, count)).train


def order(epoch: int, seed: int = 0, **options: bool) -> list[list[int]]:
    """The images of each batch of four out of ten."""
    return [job.indices.tolist() for job in batches_of(10, 4, seed=seed, epoch=epoch, **options)]


def test_the_order_is_a_function_of_seed_and_epoch() -> None:
    first = order(0)
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(chain(*first)) == list(range(10))
    torch.rand(5)
    assert order(0) == first
    assert len({str(order(epoch, seed)) for epoch in range(3) for seed in range(3)}) == 9
    assert order(0, shuffle=False) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert order(0, drop_last=True) == first[:2]


def test_the_order_of_a_seed_never_changes() -> None:
    """What the first version drew, so that a run can be repeated by a later one."""
    assert order(0) == [[1, 8, 7, 3], [0, 4, 9, 5], [2, 6]]
    assert halves(load_data(Fake(count=8), Path()), 0.5, seed=0)[0].indices.tolist() == [4, 1, 3, 6]


def test_batches_leave_the_global_generator_alone() -> None:
    data = load_data(Fake(), Path())
    torch.manual_seed(0)
    wanted = torch.rand(3)
    torch.manual_seed(0)
    assert len(list(read_batches(data.train, batches_of(256, 64, seed=0, epoch=0)))) == 4
    assert torch.rand(3).equal(wanted)


def test_batches_of_halves() -> None:
    weights, alphas = halves(load_data(Digits(), Path()), 0.5, seed=0)
    images, labels = weights.finish(next(read_batches(weights, batches_of(718, 64, seed=0, epoch=0))))
    assert images.shape == (64, 1, 8, 8)
    assert labels.shape == (64,)
    assert sum(len(labels) for _, labels in read_batches(alphas, batches_of(719, 64, seed=0, epoch=0))) == 719


def test_laps_go_on_without_end_and_any_of_them_can_be_skipped_to(own_names: None) -> None:
    made = Batches("numbers", numbered(), 4, Compute("cpu"))
    whole = [labels.tolist() for _, labels in islice(made.epoch(1), 6)]
    assert made.steps == 2
    assert len({str(sorted(chain(*whole[at : at + 2]))) for at in (0, 2, 4)}) > 1
    for skip in range(6):
        assert [labels.tolist() for _, labels in islice(made.epoch(1, skip), 6 - skip)] == whole[skip:]


def photos(root: Path) -> Images:
    """Sixteen images of files that are cut at random when they are read."""
    for part, count in (("train", 16), ("val", 1)):
        (root / part / "a").mkdir(parents=True)
        for number in range(count):
            pixels = np.random.default_rng(number).integers(0, 256, (20, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / part / "a" / f"{number}.png")
    return load_data(Folder(), root, input_shape=(3, 8, 8)).train


def test_workers_draw_from_seed_epoch_and_step(tmp_path: Path) -> None:
    images = photos(tmp_path)

    def read(workers: int, epoch: int = 1, skip: int = 0) -> list[torch.Tensor]:
        return [read for read, _ in read_batches(images, batches_of(16, 4, seed=0, epoch=epoch)[skip:], workers)]

    first = read(1)
    assert len(first) == 4
    for again in (read(1), read(2)):
        assert all(one.equal(other) for one, other in zip(first, again, strict=True))
    assert all(one.equal(other) for one, other in zip(first[3:], read(2, skip=3), strict=True))
    assert not read(2, epoch=2)[0].equal(first[0])


def test_images_in_memory_need_no_workers() -> None:
    images = load_data(Fake(crop=2, cutout=8), Path()).train
    jobs = batches_of(256, 64, seed=0, epoch=1)
    alone, helped = (list(read_batches(images, jobs, workers)) for workers in (0, 2))
    assert all(one[0].equal(other[0]) for one, other in zip(alone, helped, strict=True))


def test_a_file_that_is_lost_on_the_way_is_named_by_workers_too(tmp_path: Path) -> None:
    images = photos(tmp_path)
    assert isinstance(images.samples, ImageFiles)
    images = replace(images, samples=replace(images.samples, decoded=None))
    (tmp_path / "train" / "a" / "3.png").unlink()
    for workers in (0, 1):
        with pytest.raises(DataError) as lost:
            list(read_batches(images, batches_of(16, 4, seed=0, epoch=0), workers))
        assert str(lost.value) == f"{tmp_path}/train/a/3.png is missing"
