"""The sum of terms as one differentiable function, by algebra instead of operation by operation.

A term ``w * norm(W z)`` is one matrix on the channels of z: with m and G the mean and the covariance of z,

    w * norm(W z) = V (z - m) + w beta,    V = diag(w gamma / sqrt(diag(W G W') + eps)) W

so neither ``W z`` nor its norm is ever stored, and the terms of a sum are added up product by product in one tensor.
z is centred before G is taken: E[z z'] - E[z] E[z]' would cancel. The same holds channel by channel where a norm has no
projection before it. What a depthwise filter reads is normed and activated on the way, and never stored either.

Everything is channels-last: rows are pixels, columns are channels. The gradients are written out; tests compare them in
float64 with those of the operations one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .depthwise import activated, filtered, filtered_backward, scaled_sums
from .program import Program, Step
from .statistics import Statistics, uses_batch

Holder: TypeAlias = "nn.Conv2d | nn.BatchNorm2d"
"""A module that holds parameters and statistics."""


def weighted_sum(
    program: Program, holders: Sequence[Holder], mixing: Tensor | None, sources: Sequence[Tensor]
) -> Tensor:
    """The sum of the terms of a program.

    Args:
        program: the terms.
        holders: the convolutions and norms that hold the parameters, in the order of the program.
        mixing: the weights of the terms that have one.
        sources: the distinct sources, (n, c, h, w).

    Returns:
        (n, c, h, w), channels-last in memory.

    Raises:
        ValueError: where a norm would take the variance of a single value.
    """
    parameters = [parameter for holder in holders for parameter in (holder.weight, holder.bias)]
    result: Tensor = _WeightedSum.apply(program, tuple(holders), mixing, len(sources), *sources, *parameters)
    return result


def rows(x: Tensor) -> Tensor:
    """(n, h, w, c) as (n h w, c)."""
    return x.reshape(-1, x.shape[-1])


@dataclass(frozen=True)
class _Kept:
    """What the backward pass needs of a term, besides its source."""

    z: Tensor | None = None
    """What the projection read; None where it is computed again."""
    mean_before: Tensor | None = None
    rate_before: Tensor | None = None
    """1 / sqrt(var + eps) of the norm before the filter."""
    mean: Tensor | None = None
    """The mean of z (of the norm's input, where there is no projection)."""
    covariance: Tensor | None = None
    """That of z, where there is a projection."""
    rate: Tensor | None = None
    """1 / sqrt(var + eps) of the norm."""

    def tensors(self) -> tuple[Tensor | None, ...]:
        return self.z, self.mean_before, self.rate_before, self.mean, self.covariance, self.rate


SLOTS = len(_Kept().tensors())


class _WeightedSum(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        program: Program,
        holders: tuple[Holder, ...],
        mixing: Tensor | None,
        count: int,
        *tensors: Tensor | None,
    ) -> Tensor:
        sources = [x.permute(0, 2, 3, 1).contiguous() for x in tensors[:count] if x is not None]
        run = _Terms(program, holders, mixing, sources, tensors[count:])
        y, kept = run.forward()
        ctx.program, ctx.holders, ctx.count = program, holders, count
        ctx.batch = [uses_batch(holder) for holder in holders]
        ctx.save_for_backward(mixing, *sources, *tensors[count:], *(t for item in kept for t in item.tensors()))
        return y.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        mixing, *rest = ctx.saved_tensors
        sources, rest = rest[: ctx.count], rest[ctx.count :]
        parameters, rest = rest[: 2 * len(ctx.holders)], rest[2 * len(ctx.holders) :]
        kept = [_Kept(*rest[at : at + SLOTS]) for at in range(0, len(rest), SLOTS)]
        terms = _Terms(ctx.program, ctx.holders, mixing, sources, parameters, ctx.batch)
        wanted = ctx.needs_input_grad
        found = terms.backward(
            gradient.permute(0, 2, 3, 1).contiguous(),
            kept,
            wanted[4 : 4 + ctx.count],
            wanted[4 + ctx.count :],
        )
        to_sources = [None if g is None else g.permute(0, 3, 1, 2) for g in found.sources]
        return None, None, found.mixing if wanted[2] else None, None, *to_sources, *found.parameters


@dataclass
class _Gradients:
    mixing: Tensor | None
    sources: list[Tensor | None]
    parameters: list[Tensor | None]


class _Terms:
    """The terms of a program at given tensors; ``parameters`` are a weight and a bias, or None, for each holder."""

    def __init__(
        self,
        program: Program,
        holders: Sequence[Holder],
        mixing: Tensor | None,
        sources: Sequence[Tensor],
        parameters: Sequence[Tensor | None],
        batch: Sequence[bool] | None = None,
    ) -> None:
        self.program, self.holders, self.sources, self.parameters = program, holders, sources, parameters
        self.weights = () if mixing is None else mixing.unbind()
        self.batch = [uses_batch(holder) for holder in holders] if batch is None else batch

    def weight(self, holder: int | None) -> Tensor | None:
        return None if holder is None else self.parameters[2 * holder]

    def bias(self, holder: int) -> Tensor | None:
        return self.parameters[2 * holder + 1]

    def share(self, step: Step) -> Tensor | None:
        return None if step.weight is None else self.weights[step.weight]

    # ------------------------------------------------------------ forward

    def forward(self) -> tuple[Tensor, list[_Kept]]:
        """The sum (n, h, w, c), and what each term's gradient needs; moves the running statistics."""
        self.statistics = Statistics()
        self.y: Tensor | None = None
        self.constant: Tensor | None = None
        kept = [self.term(step) for step in self.program.steps]
        self.statistics.apply()
        assert self.y is not None
        if self.constant is not None:
            self.y.add_(self.constant)
        return self.y, kept

    def term(self, step: Step) -> _Kept:
        x, share = self.sources[step.source], self.share(step)
        mean_before, rate_before = self.moments(step.before, (), rows(x))
        z = self.operand(step, x, mean_before, rate_before)
        weight = self.weight(step.projection)
        is_read = weight is not None or step.norm is not None or share is not None
        kept = z if step.filter is not None and self.program.keep and is_read else None
        if step.norm is None:
            if weight is None:
                self.add(z, share)
            else:
                self.product(z, weight.flatten(1) if share is None else share * weight.flatten(1))
            return _Kept(kept, mean_before, rate_before)
        if weight is None:
            mean, rate = self.moments(step.norm, step.tied, rows(z))
            assert mean is not None and rate is not None
            scale = self.scale(step.norm, rate, share)
            self.scaled(z, scale)
            self.shift(step.norm, share, -mean * scale)
            return _Kept(kept, mean_before, rate_before, mean, None, rate)
        matrix = weight.flatten(1)
        if not self.batch[step.norm]:
            mean, rate = self.running(step.norm)
            scale = self.scale(step.norm, rate, share)
            self.product(z, scale.unsqueeze(1) * matrix)
            self.shift(step.norm, share, -mean * scale)
            return _Kept(kept, mean_before, rate_before, None, None, rate)
        pixels = rows(z)
        mean = pixels.mean(0)
        centred = pixels.sub_(mean) if z is not x else pixels - mean
        covariance = centred.t() @ centred / len(pixels)
        variance = ((matrix @ covariance) * matrix).sum(1)
        rate = self.rate(step.norm, variance)
        for norm in (step.norm, *step.tied):
            self.statistics.add(self.holders[norm], matrix @ mean, variance, len(pixels))
        scale = self.scale(step.norm, rate, share)
        self.product(centred.view(z.shape), scale.unsqueeze(1) * matrix)
        self.shift(step.norm, share, None)
        return _Kept(kept, mean_before, rate_before, mean, covariance, rate)

    def operand(self, step: Step, x: Tensor, mean: Tensor | None, rate: Tensor | None) -> Tensor:
        """What the projection, the norm or the sum itself reads: (n, h, w, c)."""
        scale, shift = self.affine(step.before, mean, rate)
        if step.filter is None:
            return activated(x, scale, shift, step.relu)
        weight = self.weight(step.filter)
        assert weight is not None and step.geometry is not None
        return filtered(x, scale, shift, step.relu, weight, step.geometry)

    def affine(self, norm: int | None, mean: Tensor | None, rate: Tensor | None) -> tuple[Tensor | None, Tensor | None]:
        """Scale and shift of the norm before a filter."""
        if norm is None or mean is None or rate is None:
            return None, None
        scale, bias = self.scale(norm, rate, None), self.bias(norm)
        return scale, -mean * scale if bias is None else torch.addcmul(bias, mean, scale, value=-1)

    def moments(
        self, norm: int | None, tied: tuple[int, ...], pixels: Tensor
    ) -> tuple[Tensor | None, Tensor | None]:
        """The mean that a norm takes, and its rate."""
        if norm is None:
            return None, None
        if not self.batch[norm]:
            return self.running(norm)
        mean = pixels.mean(0)
        variance = (pixels - mean).square_().mean(0)
        for each in (norm, *tied):
            self.statistics.add(self.holders[each], mean, variance, len(pixels))
        return mean, self.rate(norm, variance)

    def running(self, norm: int) -> tuple[Tensor, Tensor]:
        holder = self.holders[norm]
        return holder.running_mean, self.rate(norm, holder.running_var)

    def rate(self, norm: int, variance: Tensor) -> Tensor:
        return torch.rsqrt(variance + self.holders[norm].eps)

    def scale(self, norm: int, rate: Tensor, share: Tensor | None) -> Tensor:
        """``share * gamma * rate``."""
        gamma = self.weight(norm)
        scale = rate if gamma is None else rate * gamma
        return scale if share is None else scale * share

    # ------------------------------------------------------------ what is added up

    def product(self, z: Tensor, matrix: Tensor) -> None:
        """Add ``matrix z`` of every pixel."""
        if self.y is None:
            self.y = (rows(z) @ matrix.t()).view(*z.shape[:3], -1)
        else:
            rows(self.y).addmm_(rows(z), matrix.t())

    def scaled(self, z: Tensor, scale: Tensor) -> None:
        """Add ``scale * z``, channel by channel or as a whole."""
        self.y = z * scale if self.y is None else self.y.addcmul_(z, scale)

    def add(self, z: Tensor, share: Tensor | None) -> None:
        if share is not None:
            self.scaled(z, share)
        elif self.y is None:
            # A copy of what is a source: other terms are added in place.
            self.y = z.clone() if any(z is source for source in self.sources) else z
        else:
            self.y.add_(z)

    def shift(self, norm: int, share: Tensor | None, more: Tensor | None) -> None:
        """Add ``share * beta + more`` to every pixel."""
        bias = self.bias(norm)
        parts = [] if more is None else [more]
        if bias is not None:
            parts.append(bias if share is None else bias * share)
        for part in parts:
            self.constant = part if self.constant is None else self.constant + part

    # ------------------------------------------------------------ backward

    def backward(
        self, dy: Tensor, kept: Sequence[_Kept], wants_source: Sequence[bool], wants_parameter: Sequence[bool]
    ) -> _Gradients:
        """The gradients at ``dy`` (n, h, w, c)."""
        self.dy, self.total = dy, rows(dy).sum(0)
        self.wants_parameter = wants_parameter
        self.found = _Gradients(None, [None] * len(self.sources), [None] * len(self.parameters))
        shares: list[Tensor] = []
        for step, item in zip(self.program.steps, kept, strict=True):
            share = self.term_backward(step, item, wants_source[step.source])
            if share is not None:
                shares.append(share)
        self.found.mixing = torch.stack(shares) if shares else None
        return self.found

    def term_backward(self, step: Step, kept: _Kept, wants_source: bool) -> Tensor | None:
        """Add a term's gradients; that of its weight is returned."""
        x, share = self.sources[step.source], self.share(step)
        z = kept.z
        if z is None:
            z = self.operand(step, x, kept.mean_before, kept.rate_before)
            if kept.covariance is not None:
                assert kept.mean is not None
                z = z - kept.mean if z is x else z.sub_(kept.mean)
        wants_operand = wants_source or any(
            self.wants(holder) for holder in (step.before, step.filter) if holder is not None
        )
        d_share, dz = self.output_backward(step, share, z, kept, wants_operand)
        if dz is not None:
            self.operand_backward(step, x, z, dz, kept, wants_source)
        return d_share

    def output_backward(
        self, step: Step, share: Tensor | None, z: Tensor, kept: _Kept, wants_operand: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """From the sum back to what its term's projection or norm read: the gradients of the weight and of z."""
        dy, weight = self.dy, self.weight(step.projection)
        if weight is None and step.norm is None:
            d_share = None if share is None else torch.dot(dy.reshape(-1), z.reshape(-1))
            return d_share, None if not wants_operand else dy if share is None else dy * share
        if weight is None:
            return self.norm_backward(step, share, z, kept, wants_operand)
        matrix = weight.flatten(1)
        outer = rows(dy).t() @ rows(z)
        if step.norm is None:
            self.give(step.projection, outer if share is None else outer * share)
            d_share = None if share is None else (outer * matrix).sum()
            used = matrix if share is None else share * matrix
            return d_share, (rows(dy) @ used).view_as(z) if wants_operand else None
        rate = kept.rate
        assert rate is not None
        scale = self.scale(step.norm, rate, share)
        d_scale = (outer * matrix).sum(1)
        d_matrix = scale.unsqueeze(1) * outer
        used = scale.unsqueeze(1) * matrix
        if kept.covariance is None:
            d_scale = d_scale - self.total * self.holders[step.norm].running_mean
            d_share, _ = self.scale_backward(step.norm, share, rate, d_scale)
            self.give(step.projection, d_matrix)
            return d_share, (rows(dy) @ used).view_as(z) if wants_operand else None
        d_share, d_variance = self.scale_backward(step.norm, share, rate, d_scale)
        d_matrix = torch.addcmul(d_matrix, 2 * d_variance.unsqueeze(1), matrix @ kept.covariance)
        self.give(step.projection, d_matrix)
        if not wants_operand:
            return d_share, None
        pixels = rows(z)
        d_covariance = matrix.t() @ (d_variance.unsqueeze(1) * matrix)
        dz = torch.addmm(-(self.total @ used) / len(pixels), rows(dy), used)
        return d_share, dz.addmm_(pixels, d_covariance, alpha=2 / len(pixels)).view_as(z)

    def norm_backward(
        self, step: Step, share: Tensor | None, z: Tensor, kept: _Kept, wants_operand: bool
    ) -> tuple[Tensor | None, Tensor | None]:
        """The same where a norm reads z itself."""
        dy, norm, mean, rate = self.dy, step.norm, kept.mean, kept.rate
        assert norm is not None and mean is not None and rate is not None
        centred = z - mean
        d_share, d_variance = self.scale_backward(norm, share, rate, (dy * centred).sum((0, 1, 2)))
        if not wants_operand:
            return d_share, None
        scale = self.scale(norm, rate, share)
        dz = dy * scale
        if self.batch[norm]:
            count = len(rows(z))
            dz.addcmul_(centred, d_variance, value=2 / count).sub_(self.total * scale / count)
        return d_share, dz

    def scale_backward(
        self, norm: int, share: Tensor | None, rate: Tensor, d_scale: Tensor
    ) -> tuple[Tensor | None, Tensor]:
        """From ``scale = share * gamma * rate`` and ``share * beta``: the gradients of the weight and the variance."""
        gamma, beta = self.weight(norm), self.bias(norm)
        per_rate = d_scale * rate
        if gamma is not None:
            self.give(norm, per_rate if share is None else per_rate * share)
        if beta is not None:
            self.give_bias(norm, self.total if share is None else self.total * share)
        whole = per_rate if gamma is None else per_rate * gamma
        d_share = None
        if share is not None:
            d_share = whole.sum() if beta is None else whole.sum() + self.total @ beta
            whole = whole * share
        return d_share, whole * rate.square() * -0.5

    def operand_backward(self, step: Step, x: Tensor, z: Tensor, dz: Tensor, kept: _Kept, wants_source: bool) -> None:
        """From what the projection read back to the source."""
        scale, shift = self.affine(step.before, kept.mean_before, kept.rate_before)
        center = kept.mean_before
        if step.filter is None:
            g: Tensor | None = dz
            if step.relu:
                positive = x > 0 if scale is None else torch.addcmul(shift, x, scale) > 0  # type: ignore[arg-type]
                g = torch.where(positive, dz, 0)
            sums = None if center is None or g is None else scaled_sums(g, x, center)
        else:
            weight = self.weight(step.filter)
            assert weight is not None and step.geometry is not None
            into = self.found.sources[step.source] if wants_source and scale is None else None
            g, d_weight, sums = filtered_backward(
                x,
                scale,
                shift,
                center,
                step.relu,
                weight,
                step.geometry,
                dz,
                wants_source or step.before is not None,
                self.wants(step.filter),
                into,
            )
            if d_weight is not None:
                self.give(step.filter, d_weight)
            if into is not None:
                return
        if step.before is not None:
            assert sums is not None and g is not None and center is not None and kept.rate_before is not None
            g = self.before_backward(step.before, x, g, sums, center, kept.rate_before)
        if wants_source and g is not None:
            before = self.found.sources[step.source]
            # What is dy itself is shared with others, and cannot be added to in place.
            own = g.clone() if g is self.dy else g
            self.found.sources[step.source] = own if before is None else before.add_(g)

    def before_backward(
        self, norm: int, x: Tensor, g: Tensor, sums: Tensor, mean: Tensor, rate: Tensor
    ) -> Tensor:
        """Through the norm before a filter; ``sums`` are those of g and of ``g (x - mean)``."""
        plain, product = sums
        if self.weight(norm) is not None:
            self.give(norm, product * rate)
        if self.bias(norm) is not None:
            self.give_bias(norm, plain)
        scale = self.scale(norm, rate, None)
        if not self.batch[norm]:
            return g.mul_(scale)
        count = len(rows(x))
        slope = scale * rate.square() * product / count
        return g.mul_(scale).addcmul_(x, slope, value=-1).add_(slope * mean - scale * plain / count)

    # ------------------------------------------------------------ parameters

    def wants(self, holder: int) -> bool:
        return bool(self.wants_parameter[2 * holder])

    def give(self, holder: int | None, gradient: Tensor) -> None:
        weight = self.weight(holder)
        if holder is not None and weight is not None and self.wants_parameter[2 * holder]:
            self.found.parameters[2 * holder] = gradient.view_as(weight)

    def give_bias(self, holder: int, gradient: Tensor) -> None:
        if self.wants_parameter[2 * holder + 1]:
            self.found.parameters[2 * holder + 1] = gradient
