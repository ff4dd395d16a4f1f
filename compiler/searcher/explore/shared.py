"""`judge = shared`: an architecture with the weights that it has in a supernet.

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling" (ECCV 2020), section 3.4: the
accuracy on held-out images, after the statistics of norms are taken anew for this architecture, since those of a
supernet are of all architectures that ran through them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import islice

import torch
from torch import Tensor, nn

from compiler.ir.decision import Selection
from compiler.searcher.data.load import Data, halves
from compiler.searcher.data.source import Batch, parts_of
from compiler.searcher.engine.bilevel import PreservedBuffers
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute, sum_type
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.relaxations.base import Relaxed
from compiler.searcher.settings.judges import SharedJudge
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.seeds import mix

from .proposer import Budgets
from .space import Candidate, ExploredSpace

KEPT = 2 << 30
"""Up to so many bytes of batches are kept on the device; more are read again for each architecture."""


class SharedWeights:
    """Judges the architectures of a supernet by its weights; these and its buffers are afterwards as they were.

    Args:
        supernet: it, which goes to the device of ``compute``.
        space: its architectures.
        data: those that it learned on.
        settings: those of its search.
        word: how it is judged.
        compute: where to run.
    """

    def __init__(
        self,
        supernet: Relaxed,
        space: ExploredSpace,
        data: Data,
        settings: SearchSettings,
        word: SharedJudge,
        compute: Compute,
    ) -> None:
        self.supernet, self.space, self.compute, self.seed = supernet, space, compute, settings.seed
        self.task, self.behaviour = settings.task, behaviour_of(settings.task, data.classes)
        of_weights, of_alphas = halves(data, settings.data.weights_share, settings.seed)
        batch, workers, seed = settings.batch, settings.workers, mix(settings.seed, "data")
        stated = word.images or word.batches * batch or len(of_alphas)
        self.budgets = Budgets(min(stated, len(of_alphas)), len(of_alphas))

        def held(budget: int) -> Kept:
            some = of_alphas.subset(torch.arange(budget))
            return self._kept(Batches("alpha half", some, batch, compute, seed, workers).once)

        def learned() -> Iterator[Batch]:
            return islice(Batches("weight half", of_weights, batch, compute, seed, workers).epoch(0), word.calibrate)

        self.held = lru_cache(None)(held)
        self.learned = self._kept(learned) if word.calibrate else None
        supernet.module.to(compute.device)
        self.norms = NormStatistics(supernet.module)
        self.preserved = PreservedBuffers(supernet.module)

    def _kept(self, read: Callable[[], Iterator[Batch]]) -> Kept:
        return Kept(read, self._seed)

    def _seed(self) -> None:
        seed_all(mix(self.seed, "judge"), self.compute.device)

    @torch.no_grad()
    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        """The score of an architecture on the first ``budget`` of the held-out samples, or on all: an accuracy.

        That of another task is its metric, turned around where less is better.
        """
        budget = min(budget, self.budgets.whole)
        kind = sum_type(self.compute.device)
        totals = torch.zeros(self.behaviour.width + 1, dtype=kind, device=self.compute.device)
        for outputs, targets in self.logits(found, budget):
            totals[:-1] += self.behaviour.sums(outputs, targets)
            totals[-1] += self.behaviour.count(targets)
        *sums, count = totals.tolist()
        return self.task.score(self.behaviour.value(sums, count) if count else 0.0)

    def logits(self, found: Candidate, budget: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The logits of an architecture on the held-out images and their labels, batch by batch."""
        module, chosen = self.supernet.module, self.space.completed(found)
        training = module.training
        try:
            with self.preserved:
                if self.learned is not None:
                    self._calibrate(chosen)
                module.eval()
                for images, labels in self.held(budget):
                    with torch.no_grad(), self.compute.autocast():
                        logits = self.supernet.alone(images, chosen)
                    yield logits, labels
        finally:
            module.train(training)

    @torch.no_grad()
    def _calibrate(self, chosen: Selection) -> None:
        """Compute the running statistics of norms again, on images that the weights learned on."""
        assert self.learned is not None
        self.supernet.module.train()
        self.norms.clear()
        self._seed()
        for images, _ in self.learned:
            with self.compute.autocast():
                self.supernet.alone(images, chosen)
        self.norms.settle()


class Kept:
    """The same batches each time, kept in memory where they are few.

    Args:
        read: reads the batches; it draws from torch's global generator.
        seed: seeds that generator.
    """

    def __init__(self, read: Callable[[], Iterator[Batch]], seed: Callable[[], None]) -> None:
        self.read, self.seed = read, seed
        self.batches: list[Batch] | None = []
        size = 0
        for batch in self._anew():
            size += sum(part.nbytes for part in parts_of(batch[0]))
            if size > KEPT:
                self.batches = None
                break
            self.batches.append(batch)

    def __iter__(self) -> Iterator[Batch]:
        return self._anew() if self.batches is None else iter(self.batches)

    def _anew(self) -> Iterator[Batch]:
        self.seed()
        yield from self.read()


class NormStatistics:
    """The running statistics of the batch norms of a module, computed again.

    Started from zero, they become a weighted mean of the batches times ``1 - (1 - momentum) ** count``, by which they
    are then divided.
    """

    def __init__(self, module: nn.Module) -> None:
        norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
        self.momenta: list[float | None] = []
        self.tensors: list[Tensor] = []
        self.counts: list[Tensor] = []
        for norm in norms:
            if norm.running_mean is None or norm.running_var is None or norm.num_batches_tracked is None:
                continue
            self.momenta.append(norm.momentum)
            self.tensors += [norm.running_mean, norm.running_var]
            self.counts.append(norm.num_batches_tracked)

    def clear(self) -> None:
        """Begin anew."""
        if self.counts:
            torch._foreach_zero_(self.tensors)
            torch._foreach_zero_(self.counts)

    def settle(self) -> None:
        """Have the average over the batches since `clear`; norms that none went through keep zeros."""
        if not self.counts:
            return
        shares: list[float] = []
        for momentum, count in zip(self.momenta, torch.stack(self.counts).tolist(), strict=True):
            share = 1.0 if momentum is None or not count else 1 - (1 - momentum) ** count
            shares += [share, share]
        torch._foreach_div_(self.tensors, shares)
