"""Tensors of every kind that a checkpoint holds."""

from __future__ import annotations

import torch
from torch import Tensor


def tensors() -> dict[str, Tensor]:
    """Of several types, empty, a view, and two names of one."""
    torch.manual_seed(0)
    shared = torch.randn(3, 4)
    return {
        "b": torch.randn(2, 3, dtype=torch.float64),
        "a": torch.randn(5).bfloat16(),
        "count": torch.tensor(7),
        "none": torch.empty(0, 3),
        "flag": torch.tensor([True, False]),
        "view": shared.T,
        "same": shared,
    }
