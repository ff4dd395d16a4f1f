"""How sharply a loss bends in the alphas: the largest eigenvalue of its Hessian, by differentiating twice.

Before a search collapses the eigenvalue grows (Zela et al., "Understanding and Robustifying Differentiable Architecture
Search", ICLR 2020, section 4). Up to `WHOLE` alphas the Hessian is computed whole, row by row; of more alphas Lanczos'
method finds the eigenvalue from products of the Hessian with vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .gradients import PLAIN, Gradients

WHOLE = 200
"""Up to how many alphas the Hessian is computed whole."""
STEPS = 80
"""The most products that Lanczos' method takes."""
CLOSE = 1e-5
"""The error, as a share of the eigenvalue, at which it stops."""

Product = Callable[[Tensor], Tensor]
"""The product of a symmetric matrix with a vector, (n) each."""


def largest_eigenvalue(
    loss: Tensor, alphas: Sequence[Tensor], gradient: Gradients = PLAIN, whole: int = WHOLE
) -> float:
    """The largest eigenvalue of the Hessian of a loss in the alphas.

    Args:
        loss: a scalar, of a pass that can be differentiated twice.
        alphas: what it is differentiated by.
        gradient: averages products over processes.
        whole: up to how many alphas the Hessian is computed whole.
    """
    slopes = torch.autograd.grad(loss, alphas, create_graph=True, allow_unused=True)
    slope = torch.cat([_flat(alpha, found) for alpha, found in zip(alphas, slopes, strict=True)])

    def product(vector: Tensor) -> Tensor:
        if not slope.requires_grad:  # The loss is linear.
            return torch.zeros_like(vector)
        rows = torch.autograd.grad(slope @ vector, alphas, retain_graph=True, allow_unused=True)
        found = torch.cat([_flat(alpha, row) for alpha, row in zip(alphas, rows, strict=True)]).detach()
        if gradient.average is not None:
            gradient.average([found])
        return found

    if slope.numel() > whole:
        return lanczos(product, slope.detach())
    hessian = torch.stack([product(axis) for axis in torch.eye(slope.numel(), dtype=slope.dtype, device=slope.device)])
    return float(torch.linalg.eigvalsh((hessian + hessian.T) / 2)[-1])


def lanczos(product: Product, like: Tensor) -> float:
    """The largest eigenvalue of a symmetric matrix, from products with vectors of the shape of ``like``, (n).

    Lanczos (1950), with every vector made orthogonal to all before it, from a start that is the same every time. It
    stops where the residual of the eigenvector bounds the error.
    """
    start = torch.randn(like.numel(), generator=torch.Generator().manual_seed(0), dtype=like.dtype).to(like)
    basis = [start / start.norm()]
    diagonal: list[Tensor] = []
    beside: list[Tensor] = []
    while True:
        ahead = product(basis[-1])
        diagonal.append(ahead @ basis[-1])
        vectors = torch.stack(basis)
        for _ in range(2):  # Once loses digits.
            ahead = ahead - vectors.T @ (vectors @ ahead)
        values, found = torch.linalg.eigh(_tridiagonal(diagonal, beside))
        rest = ahead.norm()
        close = rest * found[-1, -1].abs() <= CLOSE * values[-1].abs()
        if bool(close) or len(basis) == min(STEPS, like.numel()):
            return float(values[-1])
        beside.append(rest)
        basis.append(ahead / rest)


def _tridiagonal(diagonal: Sequence[Tensor], beside: Sequence[Tensor]) -> Tensor:
    matrix = torch.diag(torch.stack(list(diagonal)))
    if beside:
        offset = torch.stack(list(beside))
        matrix = matrix + torch.diag(offset, 1) + torch.diag(offset, -1)
    return matrix


def _flat(alpha: Tensor, found: Tensor | None) -> Tensor:
    """The part of a gradient that is of one tensor, (its numbers); zeros where the loss does not depend on it."""
    return (torch.zeros_like(alpha) if found is None else found).flatten()
