"""The functions of the library, called with tensors."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_char_p, c_double, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from .build import SUFFIXES, library
from .filters import Filter
from .layout import Geometry, PlainTerms, Term
from .memory import Addresses, address, addresses, integers, pitch, pointers

SIGNATURES: dict[str, tuple[type[Any], ...]] = {
    "lanes": (),
    "filter_forward": (c_void_p, *[c_void_p] * 3, c_int, *[c_void_p] * 2, c_int),
    "filter_backward": (
        *(c_void_p, *[c_void_p] * 4, c_int, *[c_void_p] * 3),
        *(c_int64, c_int, *[c_void_p] * 2, c_int),
    ),
    "plain_forward": (c_void_p, c_void_p),
    "plain_backward": (c_void_p, c_void_p, c_void_p, *[c_char_p] * 4),
    "terms_forward": (c_char_p, c_int64, *[c_char_p] * 2, *[c_void_p] * 3, c_int64, c_int, c_char_p, c_int),
    "terms_backward": (
        *(c_char_p, c_int64, *[c_char_p] * 2, *[c_void_p] * 3, c_int64, c_void_p, c_char_p, c_void_p),
        *(*[c_char_p] * 2, *[c_void_p] * 2, c_int),
    ),
    "norm_forward": (*[c_int64] * 2, *[c_void_p] * 5, *[c_double] * 2, *[c_void_p] * 3, c_int),
    "norm_backward": (*[c_int64] * 2, *[c_void_p] * 8, c_int),
}
"""The arguments of the functions of kernel.cpp."""


@cache
def _function(name: str, dtype: torch.dtype) -> Any:
    loaded = library()
    if loaded is None:
        raise RuntimeError("there is no C++ kernel here: ask `can_run` before")
    function = loaded[f"{name}_{SUFFIXES[dtype]}"]
    function.argtypes = SIGNATURES[name]
    function.restype = c_int
    return function


def threads() -> int:
    """How many threads the kernel takes."""
    return torch.get_num_threads()


@cache
def lanes(dtype: torch.dtype) -> int:
    """How many numbers a vector holds: what is kept of a term has columns for whole vectors."""
    return int(_function("lanes", dtype)())


# ---------------------------------------------------------------- filters


def filter_forward(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    relu: bool,
    weight: Tensor | None,
    geometry: Filter,
    z: Tensor,
) -> None:
    """Write ``weight * relu(scale x + shift)`` to z.

    x is (n, h, w, c) and z (n, h', w', c), both of dense rows of pixels; weight (c, 1, k, k), contiguous.
    """
    sizes = Geometry.of(x.shape, geometry, pitch(x), pitch(z))
    _function("filter_forward", x.dtype)(
        *(ctypes.byref(sizes), address(x), address(scale), address(shift), relu, address(weight), address(z)),
        threads(),
    )


def filter_backward(  # noqa: PLR0913 (as the kernel's)
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    center: Tensor | None,
    relu: bool,
    weight: Tensor | None,
    geometry: Filter,
    dz: Tensor,
    dx: Tensor | None,
    add: bool,
    wants_weight: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients: of ``scale x + shift`` into dx, added where ``add``; of the weight, returned.

    The second result, where there is a center, is (2, c): the sums of that gradient and of its product with x - center.
    """
    dw = torch.empty_like(weight) if wants_weight and weight is not None else None
    sums = x.new_empty(2, x.shape[3]) if center is not None else None
    sizes = Geometry.of(x.shape, geometry, pitch(x), pitch(dz))
    _function("filter_backward", x.dtype)(
        *(ctypes.byref(sizes), address(x), address(scale), address(shift), address(center), relu),
        *(address(weight), address(dz), address(dx), 0 if dx is None else pitch(dx), add, address(dw), address(sums)),
        threads(),
    )
    return dw, sums


# ---------------------------------------------------------------- terms


def terms_forward(
    dtype: torch.dtype,
    terms: bytes,
    inputs: Addresses,
    moments: Tensor,
    y: Tensor,
    is_first: bool,
    kept: Sequence[Tensor | None],
) -> None:
    """Add terms ``share * norm(matrix * filter * relu(before(x)))`` to y, or write their sum there.

    Args:
        dtype: of all tensors but moments, which are float64.
        terms: an array of `Term`.
        inputs: sources (n, h, w, c) of dense rows of pixels, and parameters, contiguous: of a norm (c), filters
            (c, 1, k, k), matrices (c', c).
        moments: written: of each norm mean, 1 / sqrt(variance + eps) and the unbiased variance.
        y: the sum (n, h', w', c'), contiguous.
        is_first: whether it is not yet written.
        kept: for each term, where what the matrix reads is to be kept: (n, h', w', c), c filled up to whole vectors.
    """
    _function("terms_forward", dtype)(
        *(terms, _count(terms), inputs.sources, inputs.parameters, inputs.mixing, moments.data_ptr()),
        *(y.data_ptr(), y.shape[3], is_first, pointers(kept), threads()),
    )


def terms_backward(  # noqa: PLR0913 (as the kernel's)
    dtype: torch.dtype,
    terms: bytes,
    inputs: Addresses,
    moments: Tensor,
    dy: Tensor,
    total: Tensor,
    kept: Sequence[Tensor | None],
    normed: Tensor | None,
    gradients: Addresses,
    has_gradient: ctypes.Array[c_int64],
) -> None:
    """Write the gradients of terms.

    Args:
        dtype: as in `terms_forward`, like the next three, and kept.
        terms: the same.
        inputs: the same.
        moments: as they were written.
        dy: the gradient of the sum, (n, h', w', c') of dense rows of pixels.
        total: the sum of dy over pixels, (c') in float64.
        kept: as it was written; None for what is to be computed again.
        normed: the sum, channels-last, where it is the norm of one term, without parameters, and gives what is normed.
        gradients: in the order of the inputs, all contiguous.
        has_gradient: for each source, whether its gradient is added to what is there; becomes 1 where it is written.
    """
    _function("terms_backward", dtype)(
        *(terms, _count(terms), inputs.sources, inputs.parameters, inputs.mixing, moments.data_ptr()),
        *(dy.data_ptr(), pitch(dy), total.data_ptr(), pointers(kept), address(normed)),
        *(gradients.sources, gradients.parameters, gradients.mixing, has_gradient, threads()),
    )


def _count(terms: bytes) -> int:
    return len(terms) // ctypes.sizeof(Term)


@dataclass(frozen=True)
class PlainAddresses:
    """Terms that are their sources, (n, h, w, c) with dense rows of pixels, each times a scalar; all by address.

    A weight of 0 is none.
    """

    sources: tuple[int, ...]
    pitches: tuple[int, ...]
    weights: tuple[int, ...]

    def structure(self, shape: torch.Size, sum_pitch: int, is_first: bool) -> tuple[PlainTerms, tuple[bytes, ...]]:
        """The structure for a sum (n, h, w, c), and the arrays that it points to, which have to outlive it."""
        n, h, w, c = shape
        arrays = integers(self.pitches), addresses(self.sources), addresses(self.weights)
        places = [ctypes.cast(c_char_p(array), c_void_p).value for array in arrays]
        return PlainTerms(len(self.pitches), n * h * w, c, sum_pitch, is_first, threads(), *places), arrays


def plain_forward(plain: PlainAddresses, y: Tensor, is_first: bool) -> None:
    """Add the terms to y (n, h, w, c), contiguous, or write their sum there."""
    terms, _alive = plain.structure(y.shape, y.shape[3], is_first)
    _function("plain_forward", y.dtype)(ctypes.byref(terms), y.data_ptr())


def plain_backward(
    plain: PlainAddresses,
    dy: Tensor,
    products: Sequence[int],
    gradients: Sequence[Tensor | None],
    adds: Sequence[bool],
) -> Tensor:
    """The sum of dy over its pixels, (c) in float64; each term's product with dy and gradient go where they are wanted.

    Products are addresses, 0 for none; gradients are contiguous, those of ``adds`` are added.
    """
    total = dy.new_empty(dy.shape[3], dtype=torch.float64)
    terms, _alive = plain.structure(dy.shape, pitch(dy), False)
    _function("plain_backward", dy.dtype)(
        *(ctypes.byref(terms), dy.data_ptr(), total.data_ptr(), addresses(products), pointers(gradients)),
        *(integers([0 if tensor is None else tensor.shape[3] for tensor in gradients]), integers(adds)),
    )
    return total


# ---------------------------------------------------------------- norms


@dataclass(frozen=True)
class NormState:
    """The parameters and running statistics of a batch norm, (c) each; None for those that it lacks."""

    weight: Tensor | None
    bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    momentum: float
    eps: float


def norm_forward(x: Tensor, norm: NormState) -> tuple[Tensor, Tensor]:
    """A batch norm of (n, c, h, w), channels-last and dense, in train mode; its running statistics are moved.

    Returns:
        What it gives, and the means and the inverse deviations, (2, c).
    """
    channels = x.shape[1]
    y, moments = torch.empty_like(x), x.new_empty(2, channels)
    _function("norm_forward", x.dtype)(
        *(x.numel() // channels, channels, x.data_ptr(), address(norm.weight), address(norm.bias)),
        *(address(norm.running_mean), address(norm.running_var), norm.momentum, norm.eps),
        *(y.data_ptr(), moments[0].data_ptr(), moments[1].data_ptr(), threads()),
    )
    return y, moments


def norm_backward(
    dy: Tensor, x: Tensor, weight: Tensor | None, moments: Tensor, wants: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The gradients of x, the weight and the bias, where they are wanted; dy lies as x does."""
    channels = x.shape[1]
    dx = torch.empty_like(x) if wants[0] else None
    to_weight, to_bias = (x.new_empty(channels) if wanted else None for wanted in wants[1:])
    _function("norm_backward", x.dtype)(
        *(x.numel() // channels, channels, dy.data_ptr(), x.data_ptr(), address(weight)),
        *(moments[0].data_ptr(), moments[1].data_ptr(), address(dx), address(to_weight), address(to_bias), threads()),
    )
    return dx, to_weight, to_bias
