"""The batches of an epoch, first as plain data, then read."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from compiler.searcher.settings.datasets import DataError

from .load import Images
from .source import Batch
from .subsets import random_generator


@dataclass(frozen=True)
class Job:
    """One batch to read: the indices (k) of its images, and the seed of their random changes."""

    indices: Tensor
    seed: int


def batches_of(
    count: int, batch: int, *, seed: int, epoch: int, shuffle: bool = True, drop_last: bool = False
) -> list[Job]:
    """The batches of one epoch over ``count`` images, ``batch`` of them each; without ``drop_last``, the last is short.

    They are a function of the seed and the epoch alone.
    """
    generator = random_generator(seed, epoch)
    order = torch.randperm(count, generator=generator) if shuffle else torch.arange(count)
    chosen = torch.split(order[: count - count % batch if drop_last else count], batch)
    seeds = torch.randint(2**63 - 1, (len(chosen),), generator=generator).tolist()
    return list(map(Job, chosen, seeds))


def read_batches(images: Images, jobs: Sequence[Job], workers: int = 0) -> Iterator[Batch]:
    """The batches of ``jobs`` as `Images.read` gives them.

    What is random in reading, such as random resized crops of files, is drawn from torch's global generator, which the
    caller seeds. In ``workers``, processes that read ahead, the seed of the job is used instead. They have no part in
    reading images that are in memory.

    Raises:
        DataError: when an image cannot be read.
    """
    if not workers or images.in_memory:
        return (images.read(job.indices) for job in jobs)
    return _by_workers(images, jobs, workers)


def _by_workers(images: Images, jobs: Sequence[Job], workers: int) -> Iterator[Batch]:
    loader: DataLoader[Batch | str] = DataLoader(
        _Reading(images), batch_size=None, sampler=list(jobs), num_workers=workers, collate_fn=_unchanged
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
        torch.manual_seed(job.seed)
        random.seed(job.seed)
        numpy.random.seed(job.seed % 2**32)
        try:
            return self.images.read(job.indices)
        except DataError as error:  # As an error it would come with the traceback of the worker in its text.
            return str(error)


def _unchanged(read: Any) -> Any:
    """Instead of torch's conversion: `Images` gives whole batches."""
    return read
