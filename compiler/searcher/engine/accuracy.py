"""The accuracy of a network on batches."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute


@torch.no_grad()
def measure_accuracy(
    module: nn.Module, batches: Batches, compute: Compute, between: Callable[[], None] = lambda: None
) -> float:
    """The accuracy of a network in eval mode, from 0 to 1; the mode it was in is restored.

    ``between`` is called after each batch, and may raise.
    """
    training = module.training
    compute.broadcast(list(module.buffers()))
    counts = torch.zeros(2, dtype=torch.int64, device=compute.device)
    module.eval()
    try:
        for images, labels in batches.once():
            with compute.autocast():
                logits = module(images)
            counts[0] += (logits.argmax(dim=1) == labels).sum()
            counts[1] += labels.numel()
            between()
    finally:
        module.train(training)
    correct, count = compute.sum(counts).tolist()
    return correct / count if count else 0.0
