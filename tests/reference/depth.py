"""Depth of a stage and the expected number of its cells, differentiable in the architecture parameters.

Alphas of a stage: one row of raw logits for each edge, node by node and source by source, `none` in column 0.
"""

import torch
from torch import Tensor

from tests.reference.networks import window


def _rows(alphas: Tensor, nodes: int) -> list[Tensor]:
    """The edges of each node."""
    return list(torch.split(alphas, [len(window(j)) for j in range(nodes)]))


def depth_raw(alphas: Tensor, nodes: int) -> Tensor:
    """Raw alphas as strengths, every operation its own recursion, summed over the operations at the end: unbounded."""
    d = [alphas.new_zeros(alphas.shape[1])] * 2
    for j, strength in enumerate(_rows(alphas, nodes)):
        d.append(sum(a * (d[i] + 1) for a, i in zip(strength, window(j), strict=True)) / len(window(j)))
    return torch.stack(d[2:]).sum() / nodes


def depth_window(alphas: Tensor, nodes: int, betas: Tensor | None = None) -> Tensor:
    """Softmax, over the window, of the largest alpha other than `none` of each edge as strength: bounded.

    With betas (raw; one for each of the last lengths), d_j is multiplied by 1 + j * softmax(betas) of ending after j.
    """
    ends = {} if betas is None else dict(enumerate(betas.softmax(0), nodes - len(betas)))
    d = [alphas.new_zeros(())] * 2
    for j, logits in enumerate(_rows(alphas, nodes)):
        strength = logits[:, 1:].amax(1).softmax(0)
        d_j = sum(a * (d[i] + 1) for a, i in zip(strength, window(j), strict=True)) / len(window(j))
        d.append(d_j * (1 + j * ends.get(j, 0)))
    return torch.stack(d[2:]).sum() / nodes


def expected_cells(betas: Tensor, shortest: int = 4) -> Tensor:
    """Mean number of cells of a stage, softmax(betas)_k the share of `shortest` + k cells."""
    lengths = torch.arange(len(betas), dtype=betas.dtype, device=betas.device) + shortest
    return (betas.softmax(0) * lengths).sum()
