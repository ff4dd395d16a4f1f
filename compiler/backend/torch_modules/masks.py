"""Masks of undecided widths."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def masked(x: Tensor, weights: Tensor, widths: Sequence[int]) -> Tensor:
    """Channels of an undecided width: channel i is weighed by the share of the widths that reach it."""
    channels = torch.arange(x.shape[1], device=x.device)
    reach = torch.stack([(channels < width).to(x.dtype) for width in widths])
    share = (weights.to(x.dtype).unsqueeze(1) * reach).sum(0)
    return x * share.view(1, -1, *(1,) * (x.dim() - 2))
