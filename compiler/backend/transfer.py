"""Small tensors on their way between the CPU and a GPU, which does not have to wait for them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; a GPU copies it while it computes, since it comes from pinned memory.

    Where a gradient goes through the copy, and on its way to the CPU, which would read it too early, it waits.
    """
    if device.type == "cpu":
        return tensor.to(device)
    if device.type == "cuda" and tensor.device.type == "cpu" and not tensor.requires_grad:
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def moved_together(vectors: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
    """Vectors in the type of another tensor and on its device, by one copy; empty where there are none."""
    if not vectors:
        return {}
    every = moved(torch.cat(list(vectors.values())).to(like.dtype), like.device)
    return dict(zip(vectors, every.split([len(vector) for vector in vectors.values()]), strict=True))
