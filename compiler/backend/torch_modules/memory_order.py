"""The order in which images lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor


def lies_channels_last(x: Tensor) -> bool:
    """Whether images (n, c, h, w) lie channels last; False while a graph is traced, which has to fit both orders."""
    return (
        x.dim() == 4
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and not x.is_contiguous()
        and x.is_contiguous(memory_format=torch.channels_last)
    )
