"""Shared by the forward and the backward pass of a term by torch's operations.

Where every operation on all pixels counts, a term ``w * norm(W z)`` is one matrix on the channels of z: with m and G
the mean and the covariance of z,

    w * norm(W z) = V (z - m) + w beta,    V = diag(w gamma / sqrt(diag(W G W') + eps)) W

so neither ``W z`` nor its norm is ever stored, and the terms of a sum are added up product by product in one tensor.
z is centred before G is taken: E[z z'] - E[z] E[z]' would cancel. The same holds channel by channel where a norm has no
projection before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .depthwise import activated, filtered, taken
from .operands import Operands
from .plan import TermPlan


@dataclass(frozen=True)
class SavedTerm:
    """Tensors that the backward pass of a term needs besides its inputs; None for one that it computes again."""

    z: Tensor | None = None
    """The input of the matrix, (n, h', w', c)."""
    mean_before: Tensor | None = None
    """The mean of x, (c), where a norm is before the filter."""
    rate_before: Tensor | None = None
    """1 / sqrt(var + eps) of the norm before the filter, (c)."""
    mean: Tensor | None = None
    """The mean of z, (c)."""
    covariance: Tensor | None = None
    """The covariance of z, (c, c), where a matrix reads it, in float64: what the matrix makes of it may cancel."""
    rate: Tensor | None = None
    """1 / sqrt(var + eps) of the norm, (c')."""

    def tensors(self) -> tuple[Tensor | None, ...]:
        """All of them, in the order of the fields."""
        return self.z, self.mean_before, self.rate_before, self.mean, self.covariance, self.rate


class TorchTerms:
    """The parts of terms that both passes compute: the statistics and factors of norms, and z."""

    def __init__(self, operands: Operands) -> None:
        self.operands = operands

    def filtered_input(self, term: TermPlan, x: Tensor, mean: Tensor | None, rate: Tensor | None) -> Tensor:
        """The input z of the projection, the norm or the sum itself, (n, h', w', c).

        Args:
            term: the term.
            x: its source, (n, h, w, c).
            mean: that of the norm before the filter, (c); None where there is none.
            rate: its 1 / sqrt(var + eps), (c).
        """
        scale, shift = self.affine(term.before, mean, rate)
        if term.geometry is None or term.geometry.k == 1:
            return activated(taken(x, term.geometry), scale, shift, term.relu)
        return filtered(x, scale, shift, term.relu, self.operands.weight(term.filter), term.geometry)

    def affine(self, norm: int | None, mean: Tensor | None, rate: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift of the norm before a filter, (c) each; None where there is none."""
        if norm is None or mean is None or rate is None:
            return None, None
        scale, bias = self.scale(norm, rate, None), self.operands.bias(norm)
        return scale, -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)

    def running(self, norm: int) -> tuple[Tensor, Tensor]:
        """The mean that a norm has learnt, and its rate, (c) each."""
        module = self.operands.norm(norm)
        assert module.running_mean is not None
        assert module.running_var is not None
        return module.running_mean, self.rate(norm, module.running_var)

    def rate(self, norm: int, variance: Tensor) -> Tensor:
        """1 / sqrt(variance + eps) of a norm."""
        return torch.rsqrt(variance + self.operands.norm(norm).eps)

    def scale(self, norm: int, rate: Tensor, share: Tensor | None) -> Tensor:
        """``share * gamma * rate`` of a norm."""
        gamma = self.operands.weight(norm)
        scale = rate if gamma is None else rate * gamma
        return scale if share is None else scale * share
