"""The terms of a sum by torch's operations: those that the kernel has not, and all of them where there is no kernel.

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

from .depthwise import activated, cut_off, filtered, filtered_backward, put_back, scaled_sums, taken
from .operands import Bound, rows
from .program import Step


@dataclass(frozen=True)
class Kept:
    """What the backward pass needs of a term, besides its inputs."""

    z: Tensor | None = None
    """What the matrix reads, (n, h', w', c); None where it is computed again."""
    mean_before: Tensor | None = None
    rate_before: Tensor | None = None
    """1 / sqrt(var + eps) of the norm before the filter."""
    mean: Tensor | None = None
    """The mean of z."""
    covariance: Tensor | None = None
    """That of z, where a matrix reads it, in float64: what the matrix makes of it may cancel."""
    rate: Tensor | None = None
    """1 / sqrt(var + eps) of the norm."""

    def tensors(self) -> tuple[Tensor | None, ...]:
        return self.z, self.mean_before, self.rate_before, self.mean, self.covariance, self.rate


class TorchTerms:
    """Terms forward and backward; backward, ``dy`` is (n, h, w, c) and ``total`` its sum over pixels."""

    def __init__(self, bound: Bound, keep: bool, dy: Tensor | None = None, total: Tensor | None = None) -> None:
        self.bound, self.keep = bound, keep
        if dy is not None and total is not None:
            self.dy, self.total = dy, total

    # ------------------------------------------------------------ forward

    def forward(self, step: Step) -> Kept:
        """Add a term to the sum; what its gradient needs."""
        bound = self.bound
        x, share = bound.sources[step.source], bound.share(step)
        mean_before, rate_before = self.moments(step.before, (), x)
        z = self.operand(step, x, mean_before, rate_before)
        weight = bound.weight(step.projection)
        is_read = weight is not None or step.norm is not None or share is not None
        kept = z if step.filter is not None and self.keep and is_read else None
        if step.norm is None:
            if weight is None:
                self.add(z, share, is_own=z is not x and kept is None)
            else:
                self.product(z, weight.flatten(1) if share is None else share * weight.flatten(1))
            return Kept(kept, mean_before, rate_before)
        if weight is None:
            mean, rate = self.moments(step.norm, step.tied, z)
            assert mean is not None
            assert rate is not None
            scale = self.scale(step.norm, rate, share)
            self.scaled(z, scale, self.shift(step.norm, share, -mean * scale))
            return Kept(kept, mean_before, rate_before, mean, None, rate)
        matrix = weight.flatten(1)
        if not bound.batch[step.norm]:
            mean, rate = self.running(step.norm)
            scale = self.scale(step.norm, rate, share)
            self.product(z, scale.unsqueeze(1) * matrix)
            self.add_constant(self.shift(step.norm, share, -mean * scale))
            return Kept(kept, mean_before, rate_before, None, None, rate)
        pixels = rows(z)
        mean = pixels.mean(0)
        centred = pixels - mean
        covariance = (centred.t() @ centred / len(pixels)).double()
        exact = matrix.double()
        variance = ((exact @ covariance) * exact).sum(1).to(z.dtype)
        rate = self.rate(step.norm, variance)
        self.observe(step.norm, step.tied, matrix @ mean, variance, len(pixels))
        scale = self.scale(step.norm, rate, share)
        self.product(centred.view(z.shape), scale.unsqueeze(1) * matrix)
        self.add_constant(self.shift(step.norm, share, None))
        return Kept(kept, mean_before, rate_before, mean, covariance, rate)

    def operand(self, step: Step, x: Tensor, mean: Tensor | None, rate: Tensor | None) -> Tensor:
        """What the projection, the norm or the sum itself reads: (n, h, w, c)."""
        scale, shift = self.affine(step.before, mean, rate)
        if step.geometry is None or step.geometry.k == 1:
            return activated(taken(x, step.geometry), scale, shift, step.relu)
        weight = self.bound.weight(step.filter)
        assert step.geometry is not None
        return filtered(x, scale, shift, step.relu, weight, step.geometry)

    def affine(self, norm: int | None, mean: Tensor | None, rate: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift of the norm before a filter."""
        if norm is None or mean is None or rate is None:
            return None, None
        scale, bias = self.scale(norm, rate, None), self.bound.bias(norm)
        return scale, -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)

    def moments(self, norm: int | None, tied: tuple[int, ...], x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The mean that a norm takes, and its rate."""
        if norm is None:
            return None, None
        if not self.bound.batch[norm]:
            return self.running(norm)
        pixels = rows(x)
        mean = pixels.mean(0)
        variance = (pixels - mean).square_().mean(0)
        rate = self.rate(norm, variance)
        self.observe(norm, tied, mean, variance, len(pixels))
        return mean, rate

    def observe(self, norm: int, tied: tuple[int, ...], mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics follow the moments of ``count`` values."""
        self.bound.observe((norm, *tied), mean, variance * (count / max(count - 1, 1)), count)

    def running(self, norm: int) -> tuple[Tensor, Tensor]:
        """The mean that a norm has learnt, and its rate."""
        holder = self.bound.holders[norm]
        assert isinstance(holder.running_mean, Tensor)
        assert isinstance(holder.running_var, Tensor)
        return holder.running_mean, self.rate(norm, holder.running_var)

    def rate(self, norm: int, variance: Tensor) -> Tensor:
        return torch.rsqrt(variance + self.bound.eps(norm))

    def scale(self, norm: int, rate: Tensor, share: Tensor | None) -> Tensor:
        """``share * gamma * rate``."""
        gamma = self.bound.weight(norm)
        scale = rate if gamma is None else rate * gamma
        return scale if share is None else scale * share

    def shift(self, norm: int, share: Tensor | None, more: Tensor | None) -> Tensor | None:
        """``share * beta + more``."""
        beta = self.bound.bias(norm)
        if beta is None:
            return more
        beta = beta if share is None else beta * share
        return beta if more is None else beta + more

    # ------------------------------------------------------------ what is added up

    def product(self, z: Tensor, matrix: Tensor) -> None:
        """Add ``matrix z`` of every pixel."""
        if self.bound.y is None:
            self.bound.y = (rows(z) @ matrix.t()).view(*z.shape[:3], -1)
        else:
            rows(self.bound.y).addmm_(rows(z), matrix.t())

    def scaled(self, z: Tensor, scale: Tensor, shift: Tensor | None) -> None:
        """Add ``scale * z + shift``, channel by channel or as a whole."""
        y = self.bound.y
        self.bound.y = z * scale if y is None else y.addcmul_(z, scale)
        self.add_constant(shift)

    def add(self, z: Tensor, share: Tensor | None, is_own: bool) -> None:
        """Add ``share * z``; what is its own may become the sum."""
        if share is not None:
            self.scaled(z, share, None)
        elif self.bound.y is None:
            self.bound.y = z if is_own else z.clone(memory_format=torch.contiguous_format)
        else:
            self.bound.y.add_(z)

    def add_constant(self, more: Tensor | None) -> None:
        """Add the same to every pixel, in the end."""
        before = self.bound.constant
        if more is not None:
            self.bound.constant = more if before is None else before + more

    # ------------------------------------------------------------ backward

    def backward(self, step: Step, kept: Kept) -> None:
        """Give all gradients of a term."""
        bound = self.bound
        x, share = bound.sources[step.source], bound.share(step)
        z = self.operand(step, x, kept.mean_before, kept.rate_before) if kept.z is None else kept.z
        wants_operand = bound.wants_sources[step.source] or bound.wants(step.before) or bound.wants(step.filter)
        to_share, dz = self.output_backward(step, share, z, kept, wants_operand)
        bound.give_share(step, to_share)
        if dz is not None:
            self.operand_backward(step, x, dz, kept)

    def output_backward(
        self, step: Step, share: Tensor | None, z: Tensor, kept: Kept, wants_operand: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """From the sum back to what its term's projection or norm read: the gradients of the weight and of z."""
        bound, dy = self.bound, self.dy
        weight = bound.weight(step.projection)
        if weight is None and step.norm is None:
            to_share = None if share is None else (dy * z).sum()
            return to_share, None if not wants_operand else dy if share is None else dy * share
        if weight is None:
            return self.norm_backward(step, share, z, kept, wants_operand)
        matrix = weight.flatten(1)
        pixels = rows(z) if kept.mean is None else rows(z) - kept.mean
        outer = rows(dy).t() @ pixels
        if step.norm is None:
            bound.give(step.projection, outer if share is None else outer * share)
            to_share = None if share is None else (outer * matrix).sum()
            used = matrix if share is None else share * matrix
            return to_share, (rows(dy) @ used).view_as(z) if wants_operand else None
        rate = kept.rate
        assert rate is not None
        scale = self.scale(step.norm, rate, share)
        to_scale = (outer * matrix).sum(1)
        to_matrix = scale.unsqueeze(1) * outer
        used = scale.unsqueeze(1) * matrix
        if kept.covariance is None:
            to_scale = to_scale - self.total * self.running(step.norm)[0]
            to_share, _ = self.scale_backward(step.norm, share, rate, to_scale)
            bound.give(step.projection, to_matrix)
            return to_share, (rows(dy) @ used).view_as(z) if wants_operand else None
        to_share, to_variance = self.scale_backward(step.norm, share, rate, to_scale)
        bound.give(
            step.projection,
            torch.addcmul(to_matrix, 2 * to_variance.unsqueeze(1), matrix @ kept.covariance.to(matrix.dtype)),
        )
        if not wants_operand:
            return to_share, None
        to_covariance = matrix.t() @ (to_variance.unsqueeze(1) * matrix)
        dz = torch.addmm(-(self.total @ used) / len(pixels), rows(dy), used)
        return to_share, dz.addmm_(pixels, to_covariance, alpha=2 / len(pixels)).view_as(z)

    def norm_backward(
        self, step: Step, share: Tensor | None, z: Tensor, kept: Kept, wants_operand: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The same where a norm reads z itself."""
        dy, norm, mean, rate = self.dy, step.norm, kept.mean, kept.rate
        assert norm is not None
        assert mean is not None
        assert rate is not None
        products = (dy * (z - mean)).sum((0, 1, 2))
        to_share, to_variance = self.scale_backward(norm, share, rate, products)
        if not wants_operand:
            return to_share, None
        scale = self.scale(norm, rate, share)
        if not self.bound.batch[norm]:
            return to_share, dy * scale
        count = len(rows(z))
        slope = to_variance * (2 / count)
        shift = -(self.total * scale) / count - slope * mean
        return to_share, (dy * scale).addcmul_(z, slope).add_(shift)

    def scale_backward(
        self, norm: int, share: Tensor | None, rate: Tensor, to_scale: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """From ``scale = share * gamma * rate`` and ``share * beta``: the gradients of the weight and the variance."""
        gamma, beta = self.bound.weight(norm), self.bound.bias(norm)
        per_rate = to_scale * rate
        if gamma is not None:
            self.bound.give(norm, per_rate if share is None else per_rate * share)
        if beta is not None:
            self.bound.give_bias(norm, self.total if share is None else self.total * share)
        every = per_rate if gamma is None else per_rate * gamma
        to_share = None
        if share is not None:
            to_share = every.sum() if beta is None else every.sum() + self.total @ beta
            every = every * share
        return to_share, every * rate.square() * -0.5

    def operand_backward(self, step: Step, x: Tensor, dz: Tensor, kept: Kept) -> None:
        """From what the projection read back to the source."""
        bound, center = self.bound, kept.mean_before
        wants_source = bound.wants_sources[step.source]
        scale, shift = self.affine(step.before, center, kept.rate_before)
        if step.geometry is None or step.geometry.k == 1:
            g: Tensor | None = dz
            if step.relu:
                some = taken(x, step.geometry)
                g = cut_off(dz, some if scale is None else activated(some, scale, shift, False))
            if step.geometry is not None and g is not None:
                g = put_back(g, x, step.geometry)
            sums = None if center is None or g is None else scaled_sums(g, x, center)
        else:
            weight = bound.weight(step.filter)
            assert step.geometry is not None
            g, to_weight, sums = filtered_backward(
                x,
                scale,
                shift,
                center,
                step.relu,
                weight,
                step.geometry,
                dz.contiguous(),
                wants_source or step.before is not None,
                bound.wants(step.filter),
            )
            if to_weight is not None:
                bound.give(step.filter, to_weight)
        if step.before is not None:
            assert sums is not None
            assert g is not None
            assert center is not None
            assert kept.rate_before is not None
            g = self.before_backward(step.before, x, g, sums, center, kept.rate_before)
        if wants_source and g is not None:
            # dy itself is shared with others, and must not be added to.
            bound.give_source(step.source, g.clone() if g is self.dy else g)

    def before_backward(self, norm: int, x: Tensor, g: Tensor, sums: Tensor, mean: Tensor, rate: Tensor) -> Tensor:
        """Through the norm before a filter; ``sums`` are those of g and of ``g (x - mean)``."""
        bound = self.bound
        plain, product = sums
        if bound.weight(norm) is not None:
            bound.give(norm, product * rate)
        if bound.bias(norm) is not None:
            bound.give_bias(norm, plain)
        scale = self.scale(norm, rate, None)
        if not bound.batch[norm]:
            return g.mul_(scale)
        count = len(rows(x))
        slope = -scale * rate.square() * product / count
        return g.mul_(scale).addcmul_(x, slope).add_(-slope * mean - scale * plain / count)
