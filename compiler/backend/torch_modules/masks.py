"""Undecided widths: masks, and what is put together of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def masked(x: Tensor, weights: Tensor, widths: Sequence[int]) -> Tensor:
    """Channels of an undecided width: channel i is weighed by the share of the widths that reach it."""
    channels = torch.arange(x.shape[1], device=x.device)
    reach = torch.stack([(channels < width).to(x.dtype) for width in widths])
    share = (weights.to(x.dtype).unsqueeze(1) * reach).sum(0)
    return x * share.view(1, -1, *(1,) * (x.dim() - 2))


def packed(tensors: Sequence[Tensor], weights: Tensor, widths: Sequence[Sequence[int]]) -> Tensor:
    """Tensors one behind the other along the channels, where their widths are undecided.

    Each case of ``widths``, one width for each tensor, is packed without gaps, as a network that was decided so has it,
    and filled up with zeros to the largest; the cases are weighed and added.
    """
    most = max(map(sum, widths))
    whole = torch.stack([_together(tensors, each, most) for each in widths])
    return (weights.to(whole.dtype).view(-1, *(1,) * (whole.dim() - 1)) * whole).sum(0)


def _together(tensors: Sequence[Tensor], widths: Sequence[int], most: int) -> Tensor:
    """The first channels of each tensor, and zeros up to ``most``."""
    joined = torch.cat([x[:, :width] for x, width in zip(tensors, widths, strict=True)], 1)
    return functional.pad(joined, (0, 0) * (joined.dim() - 2) + (0, most - joined.shape[1]))
