"""What is put together of undecided widths, beside each case by itself."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from compiler.backend.torch_modules.masks import packed


def test_many_cases_are_one_matrix() -> None:
    """The weighed sum of the cases and its gradients; what is held for them does not grow with their number."""
    sizes = (1, 2, 5), (2, 3), (4,), (1, 3, 4, 6)
    widths = tuple(product(*sizes))
    made = torch.Generator().manual_seed(0)
    given = [torch.randn(2, max(size), 9, 7, dtype=torch.float64, generator=made) for size in sizes]
    weights = torch.rand(len(widths), dtype=torch.float64, generator=made)
    leaves = [x.requires_grad_() for x in (weights, *given)]
    held: list[int] = []

    def pack(x: Tensor) -> Tensor:
        held.append(x.untyped_storage().nbytes())
        return x

    with torch.inference_mode():
        packed([x.detach() for x in given], weights.detach(), widths)  # What it keeps is trained with below.
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        found = packed(given, weights, widths)
    wanted = torch.zeros_like(found)
    for weight, each in zip(weights, widths, strict=True):
        case = torch.cat([x[:, :width] for x, width in zip(given, each, strict=True)], 1)
        wanted = wanted + weight * torch.cat([case, case.new_zeros(2, found.shape[1] - case.shape[1], 9, 7)], 1)
    assert torch.allclose(found, wanted, atol=1e-12)
    factor = torch.randn(found.shape, dtype=torch.float64, generator=made)
    ours, theirs = (torch.autograd.grad((each * factor).sum(), leaves) for each in (found, wanted))
    assert all(torch.allclose(one, other, atol=1e-12) for one, other in zip(ours, theirs, strict=True))
    assert max(held) < found.numel() * found.element_size() * len(widths) / 4
