"""Terms forward by torch's operations: those that the kernel has not, and all of them where there is no kernel."""

from __future__ import annotations

import torch
from torch import Tensor

from .operands import Accumulator, rows
from .plan import TermPlan
from .torch_terms import SavedTerm, TorchTerms


class TorchForward(TorchTerms):
    """Adds terms to a sum.

    Args:
        total: the sum.
        keep: whether what filters give is kept for the backward pass.
    """

    def __init__(self, total: Accumulator, keep: bool) -> None:
        super().__init__(total.operands)
        self.total, self.keep = total, keep

    def run(self, term: TermPlan) -> SavedTerm:
        """Add a term to the sum; what its gradient needs."""
        operands = self.operands
        x, share = operands.sources[term.source], operands.share(term)
        mean_before, rate_before = self.moments_before(term.before, x)
        z = self.filtered_input(term, x, mean_before, rate_before)
        weight = operands.weight(term.projection)
        matrix = None if weight is None else weight.flatten(1)
        is_read = matrix is not None or term.norm is not None or share is not None
        kept = z if term.filter is not None and self.keep and is_read else None
        if term.norm is None:
            if matrix is None:
                self.add(z, share, is_own=z is not x and kept is None)
            else:
                self.add_product(z, matrix if share is None else share * matrix)
            return SavedTerm(kept, mean_before, rate_before)
        if matrix is None:
            mean, rate = self.moments(term.norm, term.tied, z)
            scale = self.scale(term.norm, rate, share)
            self.add_scaled(z, scale, self.shift(term.norm, share, -mean * scale))
            return SavedTerm(kept, mean_before, rate_before, mean, None, rate)
        if not operands.batch[term.norm]:
            mean, rate = self.running(term.norm)
            scale = self.scale(term.norm, rate, share)
            self.add_product(z, scale.unsqueeze(1) * matrix)
            self.total.add_constant(self.shift(term.norm, share, -mean * scale))
            return SavedTerm(kept, mean_before, rate_before, None, None, rate)
        return self.normed_product(term, term.norm, z, matrix, SavedTerm(kept, mean_before, rate_before))

    def normed_product(self, term: TermPlan, norm: int, z: Tensor, matrix: Tensor, saved: SavedTerm) -> SavedTerm:
        """Add ``share * norm(matrix z)``, the norm with the statistics of the batch, as one matrix on z."""
        share = self.operands.share(term)
        pixels = rows(z)
        mean = pixels.mean(0)
        centred = pixels - mean
        covariance = (centred.t() @ centred / len(pixels)).double()
        exact = matrix.double()
        variance = ((exact @ covariance) * exact).sum(1).to(z.dtype)
        rate = self.rate(norm, variance)
        self.observe(norm, term.tied, matrix @ mean, variance, len(pixels))
        scale = self.scale(norm, rate, share)
        self.add_product(centred.view(z.shape), scale.unsqueeze(1) * matrix)
        self.total.add_constant(self.shift(norm, share, None))
        return SavedTerm(saved.z, saved.mean_before, saved.rate_before, mean, covariance, rate)

    # ------------------------------------------------------------ norms

    def moments_before(self, norm: int | None, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The mean that the norm before a filter takes, and its rate, (c) each; None where there is none."""
        return (None, None) if norm is None else self.moments(norm, (), x)

    def moments(self, norm: int, tied: tuple[int, ...], x: Tensor) -> tuple[Tensor, Tensor]:
        """The mean that a norm takes of x (n, h, w, c), and its rate, (c) each."""
        if not self.operands.batch[norm]:
            return self.running(norm)
        pixels = rows(x)
        mean = pixels.mean(0)
        variance = (pixels - mean).square_().mean(0)
        rate = self.rate(norm, variance)
        self.observe(norm, tied, mean, variance, len(pixels))
        return mean, rate

    def observe(self, norm: int, tied: tuple[int, ...], mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics follow the mean and the biased variance of ``count`` values."""
        self.total.observe((norm, *tied), mean, variance * (count / max(count - 1, 1)), count)

    def shift(self, norm: int, share: Tensor | None, more: Tensor | None) -> Tensor | None:
        """``share * beta + more``."""
        beta = self.operands.bias(norm)
        if beta is None:
            return more
        beta = beta if share is None else beta * share
        return beta if more is None else beta + more

    # ------------------------------------------------------------ the sum

    def add_product(self, z: Tensor, matrix: Tensor) -> None:
        """Add ``matrix z`` of every pixel."""
        if self.total.y is None:
            self.total.y = (rows(z) @ matrix.t()).view(*z.shape[:3], -1)
        else:
            rows(self.total.y).addmm_(rows(z), matrix.t())

    def add_scaled(self, z: Tensor, scale: Tensor, shift: Tensor | None) -> None:
        """Add ``scale * z + shift``, channel by channel or as a whole."""
        y = self.total.y
        self.total.y = z * scale if y is None else y.addcmul_(z, scale)
        self.total.add_constant(shift)

    def add(self, z: Tensor, share: Tensor | None, is_own: bool) -> None:
        """Add ``share * z``; where nothing else holds z, it may become the sum."""
        if share is not None:
            self.add_scaled(z, share, None)
        elif self.total.y is None:
            self.total.y = z if is_own else z.clone(memory_format=torch.contiguous_format)
        else:
            self.total.y.add_(z)
