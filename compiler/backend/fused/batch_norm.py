"""A batch norm of channels-last images on the CPU: by the kernel, else without the digits that torch's own loses.

torch adds up a column of such an image number by number: in float32 a variance of 32,768 pixels is off by a
ten-thousandth of itself, and a network of norms carries that on.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from compiler.backend.torch_modules.memory_order import lies_channels_last
from compiler.backend.torch_modules.once_differentiable import once_differentiable
from compiler.backend.torch_modules.running_statistics import Statistics

from . import kernel

PIECES = 8
"""Squares are added up piece by piece, so that they are never all stored."""


class BatchNorm(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d`; for channels-last images on the CPU, mean and variance are taken by other sums."""

    def forward(self, x: Tensor) -> Tensor:
        """The normed images, (n, c, h, w), as they lie."""
        count = x.numel() // max(x.shape[1], 1)
        if not self.training or count < 2 or not _loses_digits(x):
            return super().forward(x)
        if kernel.can_run(x) and all(p.dtype == x.dtype for p in (*self.parameters(False), *self._running())):
            return self._by_the_kernel(x)
        y, mean, variance = _Norm.apply(x, self.weight, self.bias, self.eps)
        statistics = Statistics()
        statistics.add(self, mean, variance * (count / (count - 1)), count)
        statistics.apply()
        result: Tensor = y
        return result

    def _running(self) -> tuple[Tensor, ...]:
        """The running statistics, where it has any."""
        return () if self.running_mean is None or self.running_var is None else (self.running_mean, self.running_var)

    def _by_the_kernel(self, x: Tensor) -> Tensor:
        if self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked or 1) if self.momentum is None else self.momentum
        state = kernel.NormState(self.weight, self.bias, self.running_mean, self.running_var, momentum, self.eps)
        result: Tensor = _KernelNorm.apply(x, self.weight, self.bias, state)
        return result


def _loses_digits(x: Tensor) -> bool:
    """Whether torch would add up column by column, and can be done without."""
    return (
        x.device.type == "cpu"
        and x.dtype in (torch.float32, torch.float64)
        and lies_channels_last(x)
        and not torch.is_autocast_enabled("cpu")
    )


class _KernelNorm(torch.autograd.Function):
    """The normed images of (n, c, h, w), channels-last."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, state: kernel.NormState) -> Tensor:
        y, moments = kernel.norm_forward(x, state)
        ctx.save_for_backward(x, weight, moments)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, moments = ctx.saved_tensors
        dy = dy.contiguous(memory_format=torch.channels_last)
        return *kernel.norm_backward(dy, x, weight, moments, ctx.needs_input_grad[:3]), None


class _Norm(torch.autograd.Function):
    """The normed images, the means (c) and the biased variances (c) of (n, c, h, w), channels-last."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        images = x.permute(0, 2, 3, 1)
        pixels = images.reshape(-1, images.shape[3])
        mean = pixels.mean(0)
        centred = pixels - mean
        left = centred.mean(0)  # by rounding
        mean = mean + left
        squares = torch.stack([piece.square().sum(0) for piece in centred.chunk(PIECES)])
        variance = squares.sum(0) / len(pixels)
        rate = torch.rsqrt(variance + eps)
        scale = rate if weight is None else rate * weight
        shift = -left * scale if bias is None else bias - left * scale
        y = torch.addcmul(shift, centred, scale, out=centred)
        ctx.save_for_backward(x, weight, mean, rate)
        ctx.eps = eps
        ctx.mark_non_differentiable(mean, variance)
        return y.view(images.shape).permute(0, 3, 1, 2), mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        x, weight, mean, rate = ctx.saved_tensors
        wants = list(ctx.needs_input_grad[:3])
        dx, to_weight, to_bias = torch.ops.aten.native_batch_norm_backward(
            dy, x, weight, None, None, mean, rate, True, ctx.eps, wants
        )
        return dx, to_weight, to_bias, None
