"""The batches of an epoch, as they are read: their order is a function of the seed and the epoch alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from compiler.searcher.settings.datasets import DataError

from .load import Images
from .source import Batch
from .subsets import random_generator

Job = tuple[Tensor, int]
"""The indices of a batch, and the seed of what is random in reading it."""


def batches(
    images: Images,
    batch: int,
    *,
    seed: int,
    epoch: int,
    workers: int = 0,
    shuffle: bool = True,
    drop_last: bool = False,
    skip: int = 0,
) -> Iterator[Batch]:
    """The batches of one epoch as `Images.read` gives them, without the first ``skip``, which are not read.

    What is random in reading, such as random resized crops of files, is drawn from torch's global generator, which the
    caller seeds. In ``workers``, processes that read ahead, it is drawn from generators seeded by (seed, epoch, step).
    They have no part in reading images that are in memory.

    Raises:
        DataError: when an image cannot be read.
    """
    generator = random_generator(seed, epoch)
    count = len(images)
    order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
    chosen = torch.split(order[: count - count % batch if drop_last else count], batch)
    if not workers or images.in_memory:
        return map(images.read, chosen[skip:])
    seeds = torch.randint(2**63 - 1, (len(chosen),), generator=generator).tolist()
    jobs = list(zip(chosen, seeds, strict=True))[skip:]
    return _by_workers(images, jobs, workers)


def _by_workers(images: Images, jobs: list[Job], workers: int) -> Iterator[Batch]:
    loader: DataLoader[Batch | str] = DataLoader(
        _Reading(images), batch_size=None, sampler=jobs, num_workers=workers, collate_fn=_unchanged
    )
    for read in loader:
        if isinstance(read, str):
            raise DataError(read)
        yield read


class _Reading(Dataset["Batch | str"]):
    """In a worker: the batch of a job, or the sentence that says why it cannot be read."""

    def __init__(self, images: Images) -> None:
        self.images = images

    def __getitem__(self, job: Job) -> Batch | str:
        indices, seed = job
        torch.manual_seed(seed)
        random.seed(seed)
        numpy.random.seed(seed % 2**32)
        try:
            return self.images.read(indices)
        except DataError as error:  # As an error it would come with the traceback of the worker in its text.
            return str(error)


def _unchanged(read: Any) -> Any:
    """Instead of torch's conversion: `Images` gives whole batches."""
    return read
