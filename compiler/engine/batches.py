"""The batches of a dataset, on the device, as a function of the seed and the epoch alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from torch import Tensor
from torch.utils.data import Dataset, Subset

from compiler.data.load import loader
from compiler.data.source import Batch
from compiler.engine.compute import Compute
from compiler.engine.errors import EngineError
from compiler.engine.seeds import mix


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

    def epoch(self, epoch: int, skip: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Shuffled full batches without end: after the last one of the epoch comes another shuffle, and so on.

        The first ``skip`` are left out, as if they had been taken before.
        """
        lap, skip = divmod(skip, self.steps)
        while True:
            batches = loader(
                self.dataset,
                self.batch,
                seed=mix(self.seed, lap),
                epoch=epoch,
                workers=self.workers,
                shuffle=True,
                drop_last=True,
            )
            for images, labels in islice(batches, skip, self.steps):
                yield self.compute.put(images), self.compute.put(labels)
            lap, skip = lap + 1, 0

    def once(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Every sample once, in order."""
        for images, labels in loader(
            self.dataset, self.batch, seed=self.seed, epoch=0, workers=self.workers, shuffle=False
        ):
            yield self.compute.put(images), self.compute.put(labels)
