"""The batches of a dataset, on the device, as a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count

import torch

from compiler.searcher.data.load import Images
from compiler.searcher.data.loader import batches_of, read_batches
from compiler.searcher.data.source import Batch
from compiler.searcher.engine.errors import EngineError
from compiler.util.seeds import mix

from .compute import Compute


class Batches:
    """This process's share of every batch of a dataset.

    Process r of n reads samples r, r + n, ... of the dataset and takes an n-th of the batch; all have equally many.
    Bytes are copied to the device and changed there, by random numbers from the CPU's global generator.
    """

    def __init__(
        self, name: str, images: Images, batch: int, compute: Compute, seed: int = 0, workers: int = 0
    ) -> None:
        self.compute, self.workers = compute, workers
        self.seed = mix(seed, name, compute.rank)
        everything = len(images)
        if everything < compute.world or batch < compute.world:
            raise EngineError(
                f"The {name} hold {everything} samples and a batch {batch}: too few for {compute.world} processes."
            )
        share = everything // compute.world
        if compute.world > 1:
            images = images.subset(torch.arange(compute.rank, everything, compute.world))
        self.images = images
        self.batch = min(batch // compute.world, share)
        self.steps = share // self.batch
        """How many full batches an epoch has."""

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Shuffled full batches without end: after the last one of the epoch comes another shuffle, and so on.

        The first ``skip`` are left out and not read: the caller seeds the global generator before it takes a batch, so
        that no batch depends on those before it.
        """
        lap, skip = divmod(skip, self.steps)
        further = (batch for later in count(lap + 1) for batch in self._lap(epoch, later))
        return map(self._put, chain(self._lap(epoch, lap, skip), further))

    def once(self) -> Iterator[Batch]:
        """Every sample once, in order."""
        jobs = batches_of(len(self.images), self.batch, seed=self.seed, epoch=0, shuffle=False)
        return map(self._put, read_batches(self.images, jobs, self.workers))

    def _lap(self, epoch: int, lap: int, skip: int = 0) -> Iterator[Batch]:
        jobs = batches_of(len(self.images), self.batch, seed=mix(self.seed, lap), epoch=epoch, drop_last=True)
        return read_batches(self.images, jobs[skip:], self.workers)

    def _put(self, batch: Batch) -> Batch:
        return self.images.finish(batch, self.compute.put)
