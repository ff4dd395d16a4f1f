"""A depthwise filter with what stands before it, by the C++ kernel or by torch's own operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from compiler.backend.torch_modules.pooling import channels_first_on_a_gpu

from . import kernel
from .kernel import Filter, Kind


def activated(x: Tensor, scale: Tensor | None, shift: Tensor | None, relu: bool) -> Tensor:
    """``relu(scale x + shift)`` of channels-last x; x itself where nothing is applied."""
    if scale is not None and shift is not None:
        x = torch.addcmul(shift, x, scale)
        return x.relu_() if relu else x
    return x.relu() if relu else x


def taken(x: Tensor, geometry: Filter | None) -> Tensor:
    """The pixels of x (n, h, w, c) that are read without a window."""
    if geometry is None:
        return x
    every = slice(-geometry.pad, None, geometry.stride)
    return x[:, every, every]


def put_back(g: Tensor, x: Tensor, geometry: Filter) -> Tensor:
    """The gradient of x from that of the pixels that are read without a window."""
    to = torch.zeros_like(x)
    taken(to, geometry).copy_(g)
    return to


def filtered(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, relu: bool, weight: Tensor | None, geometry: Filter
) -> Tensor:
    """``weight * relu(scale x + shift)``.

    Args:
        x: (n, h, w, c), of dense rows of pixels.
        scale: (c), with ``shift``; None for neither.
        shift: (c).
        relu: whether negative values are cut off.
        weight: (c, 1, k, k); None for a pool, before which there is neither scale nor ReLU.
        geometry: stride, dilation and padding; what is padded is zero behind the activation.

    Returns:
        (n, h', w', c), contiguous.
    """
    if kernel.can_run(x) and kernel.supports(geometry):
        n, h, w, c = x.shape
        z = x.new_empty(n, geometry.size(h), geometry.size(w), c)
        kernel.filter_forward(x, scale, shift, relu, None if weight is None else weight.contiguous(), geometry, z)
        return z
    b = activated(x, scale, shift, relu).permute(0, 3, 1, 2)
    return _by_torch(b, weight, geometry).permute(0, 2, 3, 1).contiguous()


def _by_torch(b: Tensor, weight: Tensor | None, g: Filter) -> Tensor:
    """The filter of (n, c, h, w)."""
    match g.kind:
        case Kind.MAX_POOL:
            return F.max_pool2d(b, g.k, g.stride, g.pad)
        case Kind.AVG_POOL | Kind.AVG_POOL_COUNTING_PAD:
            counts = g.kind is Kind.AVG_POOL_COUNTING_PAD
            b = channels_first_on_a_gpu(b)
            return F.avg_pool2d(b, g.k, g.stride, g.pad, count_include_pad=counts)
    assert weight is not None
    return F.conv2d(b, weight, None, g.stride, g.pad, g.dilation, b.shape[1])


def filtered_backward(  # noqa: PLR0913 (as the kernel's)
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    center: Tensor | None,
    relu: bool,
    weight: Tensor | None,
    geometry: Filter,
    dz: Tensor,
    wants_input: bool,
    wants_weight: bool,
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of `filtered`.

    Args:
        center: of a scaled input, its mean.
        dz: (n, h', w', c), contiguous.

    Returns:
        The gradient of ``scale x + shift`` (n, h, w, c), that of the weight, and for a scaled input (2, c): the sums of
        the first and of its product with x - center.
    """
    if kernel.can_run(x) and kernel.supports(geometry):
        dx = x.new_empty(x.shape) if wants_input or center is not None else None
        weight = None if weight is None else weight.contiguous()
        dw, sums = kernel.filter_backward(x, scale, shift, center, relu, weight, geometry, dz, dx, False, wants_weight)
        return dx, dw, sums
    b = activated(x, scale, shift, relu)
    if weight is None:
        with torch.enable_grad():
            pooled = b.permute(0, 3, 1, 2).detach().requires_grad_()
            (g,) = torch.autograd.grad(_by_torch(pooled, None, geometry), pooled, dz.permute(0, 3, 1, 2))
        return g.permute(0, 2, 3, 1).contiguous(), None, None
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
        g = cut_off(g, b)
    return g, dw, None if center is None else scaled_sums(g, x, center)


def cut_off(g: Tensor, activation: Tensor) -> Tensor:
    """The gradient of a ReLU: g where the activation is positive, else zero."""
    return torch.ops.aten.threshold_backward(g, activation, 0)  # type: ignore[no-any-return]


def scaled_sums(g: Tensor, x: Tensor, center: Tensor) -> Tensor:
    """(2, c): the sums over all pixels of g, and of ``g (x - center)``."""
    return torch.stack((g.sum((0, 1, 2)), (g * (x - center)).sum((0, 1, 2))))
