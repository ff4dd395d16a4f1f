"""Undecided widths: masks, and what is put together of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def masked(x: Tensor, weights: Tensor, widths: Sequence[int]) -> Tensor:
    """Channels beyond the width are zero; between widths, they are weighed by how likely they are there."""
    channels = torch.arange(x.shape[1], device=x.device)
    reach = torch.stack([(channels < width).to(x.dtype) for width in widths])
    share = (weights.to(x.dtype).unsqueeze(1) * reach).sum(0)
    return x * share.view(1, -1, *(1,) * (x.dim() - 2))


def packed(tensors: Sequence[Tensor], weights: Tensor, widths: tuple[tuple[int, ...], ...]) -> Tensor:
    """Tensors one behind the other along the channels, where their widths are undecided.

    Each case of ``widths``, one width for each tensor, is packed without gaps, as a network that was decided so has it,
    and filled up with zeros to the largest; the cases are weighed and added. All of it is one matrix, from the channels
    of the tensors to those of the result, so that many cases take no more memory than one.
    """
    together = torch.cat(list(tensors), 1)
    shape = max(map(sum, widths)), together.shape[1]
    entries, present = _places(widths, tuple(x.shape[1] for x in tensors), weights.device)
    shares = weights.to(together.dtype) @ present.to(together.dtype)
    matrix = shares.new_zeros(shape[0] * shape[1]).scatter(0, entries, shares).view(shape)
    return torch.einsum("oc,nc...->no...", matrix, together)


@lru_cache(maxsize=1024)
def _places(widths: tuple[tuple[int, ...], ...], sizes: tuple[int, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """The entries of the flat matrix of `packed` that are not zero in some case, and in which cases each is not.

    It is kept, since a GPU that records a pass reads no number of this process.
    """
    total = sum(sizes)
    found: dict[int, list[int]] = {}
    for case, each in enumerate(widths):
        row = first = 0
        for width, size in zip(each, sizes, strict=True):
            for channel in range(width):
                found.setdefault((row + channel) * total + first + channel, []).append(case)
            row, first = row + width, first + size
    with torch.inference_mode(mode=False):  # What is kept there could not be trained with later.
        present = torch.zeros(len(widths), len(found), dtype=torch.bool)
        for at, cases in enumerate(found.values()):
            present[cases, at] = True
        return torch.tensor(list(found), device=device), present.to(device)
