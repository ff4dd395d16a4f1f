"""The kernels in C++: built at first use where a compiler is there, cached, else silently unnecessary.

A cached library is found by a hash of everything that it depends on: the source, the command, the compiler and the
processor, since it is built for just that. `HDAS_KERNEL=off` leaves it out.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hdas_dsl.cache import cache_folder

SOURCE = Path(__file__).with_name("kernel.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-fno-math-errno", "-fPIC", "-shared", "-fopenmp")
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
SIDES = (3, 5, 7)
"""Sides of the kernels that the C++ code knows."""

_enabled: ContextVar[bool] = ContextVar("_enabled", default=True)


@contextmanager
def no_kernel() -> Iterator[None]:
    """Compute without the C++ kernel inside this context, as on a machine without a compiler."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


class Kind(IntEnum):
    """What a filter does with the pixels under its window; the numbers are those of kernel.cpp."""

    CONVOLUTION = 0
    MAX_POOL = 1
    AVG_POOL = 2
    AVG_POOL_COUNTING_PAD = 3


@dataclass(frozen=True)
class Filter:
    """The geometry of a depthwise convolution, or a pool, with a square window.

    With ``k`` = 1 there is no window: every ``stride``-th pixel is taken, the first ``-pad`` rows and columns left out.
    """

    k: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0
    kind: Kind = Kind.CONVOLUTION

    def size(self, length: int) -> int:
        """The length of a side of the output."""
        padded = length + (2 * self.pad if self.k > 1 else self.pad)
        return (padded - self.dilation * (self.k - 1) - 1) // self.stride + 1


def knows(geometry: Filter) -> bool:
    """Whether the kernel has this filter."""
    if geometry.k == 1:
        return geometry.pad <= 0
    return geometry.k in SIDES and geometry.stride in (1, 2) and geometry.pad <= geometry.dilation * (geometry.k - 1)


def serves(x: Tensor) -> bool:
    """Whether the kernel can compute with this tensor here and now."""
    return x.device.type == "cpu" and x.dtype in SUFFIXES and is_available()


def is_available() -> bool:
    """Whether the kernel can be used at all; builds it when asked first."""
    return _enabled.get() and os.environ.get("HDAS_KERNEL", "") != "off" and _library() is not None


def filtered(
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
    _function("depthwise_forward", x.dtype)(
        _sizes(x, z, geometry), _at(x), _at(scale), _at(shift), relu, _at(weight), _at(z), threads()
    )


def filtered_backward(
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
    totals = x.new_empty(2, x.shape[3]) if center is not None else None
    _function("depthwise_backward", x.dtype)(
        _sizes(x, dz, geometry),
        *(_at(x), _at(scale), _at(shift), _at(center), relu, _at(weight), _at(dz)),
        *(_at(dx), 0 if dx is None else pitch(dx), add, _at(dw), _at(totals), threads()),
    )
    return dw, totals


@cache
def width(dtype: torch.dtype) -> int:
    """How many numbers a vector holds: what is kept of a term has columns for whole vectors."""
    return int(_function("width", dtype)())


# ---------------------------------------------------------------- terms, handed over by address


@dataclass(frozen=True)
class Place:
    """A term as the kernel has it: its sizes, and where among all tensors its own are; -1 for what is not there."""

    geometry: tuple[int, ...]
    columns: int
    relu: bool
    source: int
    weight: int
    parameters: tuple[int, ...]
    """Gamma and beta of the norm before, filter, matrix, gamma and beta of the norm."""
    first: int
    """The first column of the sum that is added to."""
    moments_before: int
    moments: int
    eps_before: float
    eps: float

    def packed(self) -> bytes:
        numbers = (*self.geometry, self.columns, self.relu, self.source, self.weight, *self.parameters, self.first)
        return PLACE.pack(*numbers, self.moments_before, self.moments, self.eps_before, self.eps)


PLACE = struct.Struct("26q2d")


@dataclass(frozen=True)
class Addresses:
    """Those of sources, parameters and mixing weights, or of their gradients; 0 for what is not there or not wanted."""

    sources: bytes
    parameters: bytes
    mixing: int

    @classmethod
    def of(
        cls, sources: Sequence[Tensor | None], parameters: Sequence[Tensor | None], mixing: Tensor | None
    ) -> Addresses:
        return cls(_pointers(sources), _pointers(parameters), 0 if mixing is None else mixing.data_ptr())


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
        terms: `Place`s, packed.
        inputs: sources (n, h, w, c) of dense rows of pixels, and parameters, contiguous: of a norm (c), filters
            (c, 1, k, k), matrices (c', c).
        moments: written: of each norm mean, 1 / sqrt(variance + eps) and the unbiased variance.
        y: the sum (n, h', w', c'), contiguous.
        is_first: whether it is not yet written.
        kept: for each term, where what the matrix reads is to be kept: (n, h', w', c), c filled up to whole vectors.
    """
    _function("terms_forward", dtype)(
        *(terms, len(terms) // PLACE.size, inputs.sources, inputs.parameters, inputs.mixing, moments.data_ptr()),
        *(y.data_ptr(), y.shape[3], is_first, _pointers(kept), threads()),
    )


def terms_backward(
    dtype: torch.dtype,
    terms: bytes,
    inputs: Addresses,
    moments: Tensor,
    dy: Tensor,
    dy_pitch: int,
    total: Tensor,
    kept: Sequence[Tensor | None],
    gradients: Addresses,
    there: ctypes.Array[ctypes.c_int64],
) -> None:
    """Write the gradients of terms.

    Args:
        dtype: as in `terms_forward`, like the next three, and kept.
        terms: the same.
        inputs: the same.
        moments: as they were written.
        dy: the gradient of the sum.
        dy_pitch: how far its pixels are apart.
        total: the sum of dy over pixels, (c') in float64.
        kept: as it was written; None for what is to be computed again.
        gradients: in the order of the inputs, all contiguous.
        there: for each source, whether its gradient is added to what is there; becomes 1 where it is written.
    """
    _function("terms_backward", dtype)(
        *(terms, len(terms) // PLACE.size, inputs.sources, inputs.parameters, inputs.mixing, moments.data_ptr()),
        *(dy.data_ptr(), dy_pitch, total.data_ptr(), _pointers(kept)),
        *(gradients.sources, gradients.parameters, gradients.mixing, there, threads()),
    )


def _pointers(tensors: Sequence[Tensor | None]) -> bytes:
    return _addresses([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


@dataclass(frozen=True)
class Plain:
    """Terms that are their sources, (n, h, w, c) with dense rows of pixels, each times a scalar; all by address.

    A weight of 0 is none.
    """

    sources: tuple[int, ...]
    pitches: tuple[int, ...]
    weights: tuple[int, ...]

    def packed(self, shape: torch.Size, y_pitch: int, is_first: bool) -> tuple[bytes, tuple[bytes, ...]]:
        """The structure, and the arrays that it points to."""
        n, h, w, c = shape
        count = len(self.pitches)
        arrays = _numbers(self.pitches), _addresses(self.sources), _addresses(self.weights)
        places = [ctypes.cast(ctypes.c_char_p(array), ctypes.c_void_p).value for array in arrays]
        return struct.pack("6q3P", count, n * h * w, c, y_pitch, is_first, threads(), *places), arrays


def plain_forward(plain: Plain, y: Tensor, is_first: bool) -> None:
    """Add the terms to y (n, h, w, c), contiguous, or write their sum there."""
    head, _alive = plain.packed(y.shape, y.shape[3], is_first)
    _function("plain_forward", y.dtype)(head, y.data_ptr())


def plain_backward(
    plain: Plain,
    dy: Tensor,
    dy_pitch: int,
    products: Sequence[int],
    gradients: Sequence[Tensor | None],
    adds: Sequence[bool],
) -> Tensor:
    """The sum of dy over its pixels, (c) in float64; each term's product with dy and gradient go where they are wanted.

    Products are addresses, 0 for none; gradients are contiguous, those of ``adds`` are added.
    """
    total = dy.new_empty(dy.shape[3], dtype=torch.float64)
    head, _alive = plain.packed(dy.shape, dy_pitch, False)
    _function("plain_backward", dy.dtype)(
        *(head, dy.data_ptr(), total.data_ptr(), _addresses(products)),
        _pointers(gradients),
        _numbers([0 if tensor is None else tensor.shape[3] for tensor in gradients]),
        _numbers(adds),
    )
    return total


def _addresses(addresses: Sequence[int]) -> bytes:
    return struct.pack(f"{len(addresses)}P", *addresses)


def _numbers(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"{len(numbers)}q", *numbers)


def pitch(x: Tensor) -> int:
    """How many numbers lie between the starts of two neighbouring pixels of (n, h, w, c); 0 where that differs."""
    n, h, w, c = x.shape
    if x.is_contiguous():
        return c
    steps = [(w, x.stride(2)), (h, x.stride(1) // w), (n, x.stride(0) // (h * w))]
    found = next((step for count, step in steps if count > 1), c)
    regular = all(
        count == 1 or stride == found * size
        for count, stride, size in ((w, x.stride(2), 1), (h, x.stride(1), w), (n, x.stride(0), h * w))
    )
    return found if regular and found >= c and (c == 1 or x.stride(3) == 1) else 0


def numbers(shape: Sequence[int], geometry: Filter, x_pitch: int, z_pitch: int) -> tuple[int, ...]:
    """The `Geometry` of kernel.cpp, for x (n, h, w, c) and what a filter makes of it."""
    n, h, w, c = shape
    g = geometry
    return n, h, w, c, g.kind, g.k, g.stride, g.dilation, g.pad, g.size(h), g.size(w), x_pitch, z_pitch


def _sizes(x: Tensor, z: Tensor, geometry: Filter) -> bytes:
    return struct.pack("13q", *numbers(x.shape, geometry, pitch(x), pitch(z)))


def _at(tensor: Tensor | None) -> int | None:
    return None if tensor is None else tensor.data_ptr()


def threads() -> int:
    """How many threads the kernel takes."""
    return torch.get_num_threads()


POINTER, LONG, INT = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
BYTES = ctypes.c_char_p
SIGNATURES: dict[str, tuple[type[Any], ...]] = {
    "width": (),
    "depthwise_forward": (BYTES, *[POINTER] * 3, INT, *[POINTER] * 2, INT),
    "depthwise_backward": (BYTES, *[POINTER] * 4, INT, *[POINTER] * 3, LONG, INT, POINTER, POINTER, INT),
    "plain_forward": (BYTES, POINTER),
    "plain_backward": (BYTES, POINTER, POINTER, BYTES, BYTES, BYTES, BYTES),
    "terms_forward": (BYTES, LONG, BYTES, BYTES, *[POINTER] * 3, LONG, INT, BYTES, INT),
    "terms_backward": (
        BYTES,
        LONG,
        BYTES,
        BYTES,
        *[POINTER] * 3,
        LONG,
        POINTER,
        BYTES,
        BYTES,
        BYTES,
        *[POINTER] * 2,
        INT,
    ),
}
"""The arguments of the functions of kernel.cpp."""


@cache
def _function(name: str, dtype: torch.dtype) -> Any:
    library = _library()
    assert library is not None, "`serves` was asked first"
    function = library[f"{name}_{SUFFIXES[dtype]}"]
    function.argtypes = SIGNATURES[name]
    function.restype = INT
    return function


# ---------------------------------------------------------------- building


@cache
def _library() -> ctypes.CDLL | None:
    """The library, built if it is not in the cache; None where there is no way to have one."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    folder = cache_folder()
    if compiler is None or folder is None or os.name != "posix":
        return None
    try:
        command = [compiler, *FLAGS, str(SOURCE), *_runtime()]
        target = folder / f"kernel-{_key(command)}.so"
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=folder) as apart:
                built = Path(apart) / target.name
                subprocess.run([*command, "-o", str(built)], check=True, capture_output=True, timeout=120)
                # In one step, so that another process never sees half of it.
                built.replace(target)
        library = ctypes.CDLL(str(target))
    except (OSError, subprocess.SubprocessError):
        return None
    return library


def _runtime() -> list[str]:
    """torch's own OpenMP library, so that there is one pool of threads and not two that wait for each other."""
    root = Path(torch.__file__).parent
    found = [path for folder in ("torch.libs", "torch/lib") for path in sorted((root.parent / folder).glob("libgomp*"))]
    return [str(found[0])] if found else []


def _key(command: list[str]) -> str:
    digest = hashlib.sha256(SOURCE.read_bytes())
    version = subprocess.run([command[0], "--version"], check=True, capture_output=True, timeout=20).stdout
    processor = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    for part in (*command[1:], version.decode(errors="replace"), processor):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()[:16]
