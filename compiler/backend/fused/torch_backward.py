"""Terms backward by torch's operations: all gradients of what `torch_forward` adds to a sum."""

from __future__ import annotations

import torch
from torch import Tensor

from .depthwise import activated, cut_off, filtered_backward, put_back, scaled_sums, taken
from .operands import Gradients, rows
from .plan import TermPlan
from .torch_terms import SavedTerm, TorchTerms


class TorchBackward(TorchTerms):
    """Sets the gradients of terms.

    Args:
        gradients: where they go.
        dy: the gradient of the sum, (n, h', w', c').
        total: the sum of dy over pixels, (c').
    """

    def __init__(self, gradients: Gradients, dy: Tensor, total: Tensor) -> None:
        super().__init__(gradients.operands)
        self.gradients, self.dy, self.total = gradients, dy, total

    def run(self, term: TermPlan, saved: SavedTerm) -> None:
        """Set all gradients of a term."""
        operands, gradients = self.operands, self.gradients
        x, share = operands.sources[term.source], operands.share(term)
        z = self.filtered_input(term, x, saved.mean_before, saved.rate_before) if saved.z is None else saved.z
        wants_z = (
            gradients.wants_sources[term.source]
            or gradients.wants_weight(term.before)
            or gradients.wants_weight(term.filter)
        )
        to_share, dz = self.output_backward(term, share, z, saved, wants_z)
        gradients.set_share(term, to_share)
        if dz is not None:
            self.input_backward(term, x, dz, saved)

    # ------------------------------------------------------------ from the sum to z

    def output_backward(
        self, term: TermPlan, share: Tensor | None, z: Tensor, saved: SavedTerm, wants_z: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """From the sum back to z: the gradients of the term's weight, a scalar, and of z, (n, h', w', c).

        Each is None where there is none or nothing wants it.
        """
        weight = self.operands.weight(term.projection)
        if weight is not None and term.projection is not None:
            return self.projection_backward(term, term.projection, share, z, saved, wants_z)
        if term.norm is not None:
            return self.norm_backward(term.norm, share, z, saved, wants_z)
        dy = self.dy
        to_share = None if share is None else (dy * z).sum()
        return to_share, None if not wants_z else dy if share is None else dy * share

    def projection_backward(
        self, term: TermPlan, projection: int, share: Tensor | None, z: Tensor, saved: SavedTerm, wants_z: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """`output_backward` where a matrix reads z."""
        weight = self.operands.weight(projection)
        assert weight is not None
        dy, matrix = rows(self.dy), weight.flatten(1)
        pixels = rows(z) if saved.mean is None else rows(z) - saved.mean
        outer = dy.t() @ pixels
        if term.norm is None:
            self.gradients.set_weight(projection, outer if share is None else outer * share)
            to_share = None if share is None else (outer * matrix).sum()
            used = matrix if share is None else share * matrix
            return to_share, (dy @ used).view_as(z) if wants_z else None
        rate = saved.rate
        assert rate is not None
        scale = self.scale(term.norm, rate, share)
        to_scale = (outer * matrix).sum(1)
        to_matrix = scale.unsqueeze(1) * outer
        used = scale.unsqueeze(1) * matrix
        if saved.covariance is None:
            to_scale = to_scale - self.total * self.running(term.norm)[0]
            to_share, _ = self.scale_backward(term.norm, share, rate, to_scale)
            self.gradients.set_weight(projection, to_matrix)
            return to_share, (dy @ used).view_as(z) if wants_z else None
        to_share, to_variance = self.scale_backward(term.norm, share, rate, to_scale)
        covariance = saved.covariance.to(matrix.dtype)
        self.gradients.set_weight(
            projection, torch.addcmul(to_matrix, 2 * to_variance.unsqueeze(1), matrix @ covariance)
        )
        if not wants_z:
            return to_share, None
        to_covariance = matrix.t() @ (to_variance.unsqueeze(1) * matrix)
        dz = torch.addmm(-(self.total @ used) / len(pixels), dy, used)
        return to_share, dz.addmm_(pixels, to_covariance, alpha=2 / len(pixels)).view_as(z)

    def norm_backward(
        self, norm: int, share: Tensor | None, z: Tensor, saved: SavedTerm, wants_z: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """`output_backward` where a norm reads z itself."""
        dy, mean, rate = self.dy, saved.mean, saved.rate
        assert mean is not None
        assert rate is not None
        products = (dy * (z - mean)).sum((0, 1, 2))
        to_share, to_variance = self.scale_backward(norm, share, rate, products)
        if not wants_z:
            return to_share, None
        scale = self.scale(norm, rate, share)
        if not self.operands.batch[norm]:
            return to_share, dy * scale
        count = len(rows(z))
        slope = to_variance * (2 / count)
        shift = -(self.total * scale) / count - slope * mean
        return to_share, (dy * scale).addcmul_(z, slope).add_(shift)

    def scale_backward(
        self, norm: int, share: Tensor | None, rate: Tensor, to_scale: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """Set the gradients of a norm's parameters, from ``scale = share * gamma * rate`` and ``share * beta``.

        Args:
            norm: the norm.
            share: the weight of the term; None for 1.
            rate: 1 / sqrt(var + eps), (c').
            to_scale: the gradient of the scale, (c').

        Returns:
            The gradients of the share, a scalar (None without one), and of the variance, (c').
        """
        gamma, beta = self.operands.weight(norm), self.operands.bias(norm)
        per_rate = to_scale * rate
        if gamma is not None:
            self.gradients.set_weight(norm, per_rate if share is None else per_rate * share)
        if beta is not None:
            self.gradients.set_bias(norm, self.total if share is None else self.total * share)
        every = per_rate if gamma is None else per_rate * gamma
        to_share = None
        if share is not None:
            to_share = every.sum() if beta is None else every.sum() + self.total @ beta
            every = every * share
        return to_share, every * rate.square() * -0.5

    # ------------------------------------------------------------ from z to the source

    def input_backward(self, term: TermPlan, x: Tensor, dz: Tensor, saved: SavedTerm) -> None:
        """From z back to the source: the gradients of the filter, of the norm before it and of x."""
        gradients, center = self.gradients, saved.mean_before
        wants_source = gradients.wants_sources[term.source]
        scale, shift = self.affine(term.before, center, saved.rate_before)
        if term.geometry is None or term.geometry.k == 1:
            g: Tensor | None = dz
            if term.relu:
                some = taken(x, term.geometry)
                g = cut_off(dz, some if scale is None else activated(some, scale, shift, False))
            if term.geometry is not None and g is not None:
                g = put_back(g, x, term.geometry)
            sums = None if center is None or g is None else scaled_sums(g, x, center)
        else:
            g, to_weight, sums = filtered_backward(
                x,
                scale,
                shift,
                center,
                term.relu,
                self.operands.weight(term.filter),
                term.geometry,
                dz.contiguous(),
                wants_source or term.before is not None,
                gradients.wants_weight(term.filter),
            )
            if to_weight is not None and term.filter is not None:
                gradients.set_weight(term.filter, to_weight)
        if term.before is not None:
            assert sums is not None
            assert g is not None
            assert center is not None
            assert saved.rate_before is not None
            g = self.before_backward(term.before, x, g, sums, center, saved.rate_before)
        if wants_source and g is not None:
            # dy itself is shared with others, and must not be added to.
            gradients.add_source(term.source, g.clone() if g is self.dy else g)

    def before_backward(self, norm: int, x: Tensor, g: Tensor, sums: Tensor, mean: Tensor, rate: Tensor) -> Tensor:
        """Through the norm before a filter: the gradient of x, (n, h, w, c).

        Args:
            norm: the norm; the gradients of its parameters are set.
            x: what it reads, (n, h, w, c).
            g: the gradient of what it gives, which is overwritten.
            sums: (2, c), those of g and of ``g (x - mean)`` over pixels.
            mean: of x, (c).
            rate: 1 / sqrt(var + eps), (c).
        """
        plain, product = sums
        if self.operands.weight(norm) is not None:
            self.gradients.set_weight(norm, product * rate)
        if self.operands.bias(norm) is not None:
            self.gradients.set_bias(norm, plain)
        scale = self.scale(norm, rate, None)
        if not self.operands.batch[norm]:
            return g.mul_(scale)
        count = len(rows(x))
        slope = -scale * rate.square() * product / count
        return g.mul_(scale).addcmul_(x, slope).add_(-slope * mean - scale * plain / count)
