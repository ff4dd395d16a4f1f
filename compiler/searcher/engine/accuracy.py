"""The accuracy, or the loss, of a network on batches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.settings.narrowing import Measure

from .bilevel import PreservedBuffers


@dataclass(frozen=True)
class Evaluation:
    """A measure of a network on images, and how it is taken.

    ``measure`` is the accuracy, from 0 to 1, or the mean loss. Norms take running statistics, or, by
    ``batch_statistics``, those of each batch, in train mode; buffers are then restored. ``between`` is called after
    each batch, and may raise.
    """

    measure: Measure = Measure.ACCURACY
    batch_statistics: bool = False
    between: Callable[[], None] = lambda: None

    @torch.no_grad()
    def __call__(self, module: nn.Module, batches: Batches, compute: Compute) -> float:
        """The mean over all samples of what is measured; the mode that the network was in is restored."""
        training = module.training
        exact = self.measure is Measure.ACCURACY
        compute.broadcast(list(module.buffers()))
        counts = torch.zeros(2, dtype=torch.int64 if exact else torch.float32, device=compute.device)
        kept = PreservedBuffers(module) if self.batch_statistics else nullcontext()
        module.train(self.batch_statistics)
        try:
            with kept:
                for images, labels in batches.once():
                    with compute.autocast():
                        logits = module(images)
                    counts[0] += self._sum(logits, labels)
                    counts[1] += labels.numel()
                    self.between()
        finally:
            module.train(training)
        found, count = compute.sum(counts).tolist()
        return float(found / count) if count else 0.0

    def _sum(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum over the samples of a batch."""
        if self.measure is Measure.LOSS:
            return cross_entropy(logits.float(), labels, reduction="sum")
        return (logits.argmax(dim=1) == labels).sum()
