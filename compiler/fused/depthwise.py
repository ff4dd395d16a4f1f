"""A depthwise convolution with what stands before it, by the C++ kernel or by torch's own operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from . import kernel
from .kernel import Filter


def activated(x: Tensor, scale: Tensor | None, shift: Tensor | None, relu: bool) -> Tensor:
    """``relu(scale x + shift)`` of channels-last x; x itself where nothing is applied."""
    if scale is not None and shift is not None:
        x = torch.addcmul(shift, x, scale)
        return x.relu_() if relu else x
    return x.relu() if relu else x


def filtered(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, relu: bool, weight: Tensor, geometry: Filter
) -> Tensor:
    """``weight * relu(scale x + shift)``.

    Args:
        x: (n, h, w, c), contiguous.
        scale: (c), with ``shift``; None for neither.
        shift: (c).
        relu: whether negative values are cut off.
        weight: (c, 1, k, k).
        geometry: stride, dilation and padding; what is padded is zero behind the activation.

    Returns:
        (n, h', w', c), contiguous.
    """
    if kernel.usable(x, geometry):
        return kernel.forward(x, scale, shift, relu, weight, geometry)
    b = activated(x, scale, shift, relu).permute(0, 3, 1, 2)
    z = F.conv2d(b, weight, None, geometry.stride, geometry.pad, geometry.dilation, x.shape[3])
    return z.permute(0, 2, 3, 1).contiguous()


def filtered_backward(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    center: Tensor | None,
    relu: bool,
    weight: Tensor,
    geometry: Filter,
    dz: Tensor,
    wants_input: bool,
    wants_weight: bool,
    into: Tensor | None = None,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of `filtered`.

    Args:
        center: of a scaled input, its mean.
        dz: (n, h', w', c), contiguous.
        into: add the gradient of the input to this, where nothing scales it.

    Returns:
        The gradient of ``scale x + shift`` (n, h, w, c), that of the weight, and for a scaled input (2, c): the sums of
        the first and of its product with x - center.
    """
    if kernel.usable(x, geometry):
        dx = into if into is not None else torch.empty_like(x) if wants_input else None
        dw, sums = kernel.backward(
            x, scale, shift, center, relu, weight, geometry, dz, dx, into is not None, wants_weight
        )
        return dx, dw, sums
    b = activated(x, scale, shift, relu)
    g, dw, _ = torch.ops.aten.convolution_backward(
        dz.permute(0, 3, 1, 2),
        b.permute(0, 3, 1, 2),
        weight,
        None,
        [geometry.stride] * 2,
        [geometry.pad] * 2,
        [geometry.dilation] * 2,
        False,
        [0, 0],
        x.shape[3],
        [wants_input, wants_weight, False],
    )
    if not wants_input:
        return None, dw, None
    g = g.permute(0, 2, 3, 1).contiguous()
    if relu:
        g = torch.where(b > 0, g, 0)
    sums = None if center is None else scaled_sums(g, x, center)
    return g if into is None else into.add_(g), dw, sums


def scaled_sums(g: Tensor, x: Tensor, center: Tensor) -> Tensor:
    """(2, c): the sums over all pixels of g, and of ``g (x - center)``."""
    return torch.stack((g.sum((0, 1, 2)), (g * (x - center)).sum((0, 1, 2))))
