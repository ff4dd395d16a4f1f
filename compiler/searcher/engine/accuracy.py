"""The metric of a task, or the loss, of a network on batches."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from compiler.searcher.data.source import Inputs, each
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute, sum_type
from compiler.searcher.settings.narrowing import Measure

from .bilevel import PreservedBuffers
from .tasks import Behaviour, precise


@dataclass(frozen=True)
class Evaluation:
    """A measure of a network on samples, and how it is taken.

    ``measure`` is the metric of the task, such as the accuracy from 0 to 1, or the mean loss. Norms take running
    statistics, or, by ``batch_statistics``, those of each batch, in train mode; buffers are then restored. ``between``
    is called after each batch, and may raise.
    """

    task: Behaviour
    measure: Measure = Measure.ACCURACY
    batch_statistics: bool = False
    between: Callable[[], None] = lambda: None

    @torch.no_grad()
    def __call__(self, module: nn.Module, batches: Batches, compute: Compute) -> float:
        """What is measured over all samples; the mode that the network was in is restored."""
        training, task = module.training, self.task
        loses = self.measure is Measure.LOSS
        compute.broadcast(list(module.buffers()))
        kind = sum_type(compute.device)
        totals = torch.zeros(1 if loses else task.width, dtype=kind, device=compute.device)
        counted = torch.zeros(1, dtype=kind, device=compute.device)
        kept = PreservedBuffers(module) if self.batch_statistics else nullcontext()
        module.train(self.batch_statistics)
        try:
            with kept:
                for images, labels in batches.once():
                    with compute.autocast():
                        outputs = module(images)
                    count = task.count(labels)
                    totals += self._loss(outputs, labels, count) if loses else task.sums(outputs, labels)
                    counted += count
                    self.between()
        finally:
            module.train(training)
        *sums, count = compute.sum(torch.cat([totals, counted])).tolist()
        if not count:
            return 0.0
        return sums[0] / count if loses else task.value(sums, count)

    def _loss(self, outputs: Inputs, labels: Tensor, count: Tensor | int) -> Tensor:
        """The summed loss of a batch."""
        wide: Any = each(precise, outputs)  # of several outputs a tuple, which a task of the user's own takes
        return self.task.loss(wide, labels) * count
