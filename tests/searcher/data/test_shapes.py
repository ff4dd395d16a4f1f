"""The shape that a network takes: resolution and channels of data that are in memory, and labels of positions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.transforms.v2 import functional

from compiler.searcher.data import DataError
from compiler.searcher.data.load import load_data
from compiler.searcher.data.resolution import Resized, prepared
from compiler.searcher.data.source import Pixels
from compiler.searcher.settings.datasets import Digits, Fake
from tests.support.datasets import everything


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


def test_data_in_memory_are_resized_once() -> None:
    samples = load_data(Digits(), Path(), input_shape=(3, 32, 16)).train.samples
    assert isinstance(samples, Pixels)
    assert (samples.images.dtype, samples.images.shape) == (torch.uint8, (1437, 1, 32, 16))


def test_resized_at_once_or_batch_by_batch_images_are_the_same() -> None:
    pixels = Pixels(torch.randint(0, 256, (2100, 3, 8, 8), dtype=torch.uint8), torch.arange(2100) % 10)
    size = 2100 * 3 * 12 * 16
    for limit, kind in ((size, Pixels), (size - 1, Resized)):
        samples, _ = prepared(pixels, (12, 16), limit)
        assert isinstance(samples, kind)
        chosen = torch.tensor([2099, 0, 1024, 7])
        images, labels = samples.take(chosen)
        assert images.equal(functional.resize(pixels.images[chosen], [12, 16]))
        assert labels.tolist() == [9, 0, 4, 7]
        assert samples.shape == (3, 12, 16)
