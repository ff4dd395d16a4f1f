"""The batches of a dataset, on the device, as a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, count

from torch.utils.data import Dataset, Subset

from compiler.searcher.data.load import loader
from compiler.searcher.data.source import Batch
from compiler.searcher.engine.errors import EngineError
from compiler.searcher.engine.state.seeds import mix

from .compute import Compute


class Batches:
    """This process's share of every batch of a dataset.

    Process r of n reads samples r, r + n, ... of the dataset and takes an n-th of the batch; all have equally many.
    """

    def __init__(
        self, name: str, dataset: Dataset[Batch], batch: int, compute: Compute, seed: int = 0, workers: int = 0
    ) -> None:
        self.compute, self.workers = compute, workers
        self.seed = mix(seed, name, compute.rank)
        everything = len(dataset)  # type: ignore[arg-type]
        if everything < compute.world or batch < compute.world:
            raise EngineError(
                f"The {name} hold {everything} samples and a batch {batch}: too few for {compute.world} processes."
            )
        self.dataset = Subset(dataset, range(compute.rank, everything, compute.world)) if compute.world > 1 else dataset
        share = everything // compute.world
        self.batch = min(batch // compute.world, share)
        self.steps = share // self.batch
        """How many full batches an epoch has."""

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[Batch]:
        """Shuffled full batches without end: after the last one of the epoch comes another shuffle, and so on.

        The first ``skip`` are left out, as if they had been taken before; that happens here and now, since what random
        changes to images draw is drawn from the global generators.
        """
        lap, skip = divmod(skip, self.steps)
        first = self._lap(epoch, lap)
        for _ in range(skip):
            next(first)
        further = (batch for later in count(lap + 1) for batch in self._lap(epoch, later))
        return map(self._put, chain(first, further))

    def once(self) -> Iterator[Batch]:
        """Every sample once, in order."""
        return map(
            self._put,
            loader(self.dataset, self.batch, seed=self.seed, epoch=0, workers=self.workers, shuffle=False),
        )

    def _lap(self, epoch: int, lap: int) -> Iterator[Batch]:
        seed = mix(self.seed, lap)
        return iter(loader(self.dataset, self.batch, seed=seed, epoch=epoch, workers=self.workers, drop_last=True))

    def _put(self, batch: Batch) -> Batch:
        images, labels = batch
        return self.compute.put(images), self.compute.put(labels)
