"""The depthwise kernel in C++: built at first use where a compiler is there, cached, else silently unnecessary.

A cached library is found by a hash of everything that it depends on: the source, the command, the compiler and the
processor, since it is built for just that. `HDAS_KERNEL=off` leaves it out, `HDAS_CACHE` says where to keep it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

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


@dataclass(frozen=True)
class Filter:
    """The geometry of a depthwise convolution with a square kernel."""

    k: int
    stride: int = 1
    dilation: int = 1
    pad: int = 0

    def size(self, length: int) -> int:
        """The length of a side of the output."""
        return (length + 2 * self.pad - self.dilation * (self.k - 1) - 1) // self.stride + 1


def usable(x: Tensor, geometry: Filter) -> bool:
    """Whether the kernel can compute this filter of this tensor here and now."""
    known = geometry.k in SIDES and geometry.pad <= geometry.dilation * (geometry.k - 1)
    return known and x.device.type == "cpu" and x.dtype in SUFFIXES and is_available()


def is_available() -> bool:
    """Whether the kernel can be used at all; builds it when asked first."""
    return _enabled.get() and os.environ.get("HDAS_KERNEL", "") != "off" and _library() is not None


def forward(
    x: Tensor, scale: Tensor | None, shift: Tensor | None, relu: bool, weight: Tensor, geometry: Filter
) -> Tensor:
    """``weight * relu(scale x + shift)``: x is (n, h, w, c), contiguous; weight (c, 1, k, k); scale and shift (c)."""
    n, h, w, c = x.shape
    z = x.new_empty(n, geometry.size(h), geometry.size(w), c)
    with_affine = scale is not None and shift is not None
    held = [x, scale.contiguous() if with_affine and scale is not None else None]
    held += [shift.contiguous() if with_affine and shift is not None else None, weight.contiguous()]
    pointers = [_pointer(tensor) for tensor in held]
    _function("forward", x.dtype)(
        _sizes(x, z, geometry), *pointers[:3], int(relu), pointers[3], _pointer(z), torch.get_num_threads()
    )
    return z


def backward(
    x: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    center: Tensor | None,
    relu: bool,
    weight: Tensor,
    geometry: Filter,
    dz: Tensor,
    dx: Tensor | None,
    add: bool,
    wants_weight: bool,
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients: of the input, before the scale, into ``dx``, added where ``add``; of the weight, returned.

    The second result, of a scaled input, is (2, c): the sums of that gradient and of its product with x - center.
    """
    dw = torch.empty_like(weight, memory_format=torch.contiguous_format) if wants_weight else None
    sums = x.new_empty(2, x.shape[3]) if center is not None else None
    held = [
        None if tensor is None else tensor.contiguous() for tensor in (x, scale, shift, center, weight, dz)
    ]  # alive until the call is over
    pointers = [_pointer(tensor) for tensor in held]
    _function("backward", x.dtype)(
        _sizes(x, dz, geometry),
        *pointers[:4],
        int(relu),
        *pointers[4:],
        _pointer(dx),
        int(add),
        _pointer(dw),
        _pointer(sums),
        torch.get_num_threads(),
    )
    return dw, sums


def _sizes(x: Tensor, z: Tensor, geometry: Filter) -> ctypes.Array[ctypes.c_int64]:
    n, h, w, c = x.shape
    sides = (geometry.k, geometry.stride, geometry.dilation, geometry.pad)
    return (ctypes.c_int64 * 10)(n, h, w, c, *sides, z.shape[1], z.shape[2])


def _pointer(tensor: Tensor | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if tensor is None else tensor.data_ptr())


@cache
def _function(name: str, dtype: torch.dtype) -> ctypes._CFuncPtr:  # type: ignore[name-defined]
    library = _library()
    assert library is not None, "`usable` was asked first"
    function = library[f"depthwise_{name}_{SUFFIXES[dtype]}"]
    pointer, number = ctypes.c_void_p, ctypes.c_int
    if name == "forward":
        function.argtypes = [pointer, pointer, pointer, pointer, number, pointer, pointer, number]
    else:
        function.argtypes = [*[pointer] * 5, number, pointer, pointer, pointer, number, pointer, pointer, number]
    function.restype = None
    return function


# ---------------------------------------------------------------- building


@cache
def _library() -> ctypes.CDLL | None:
    """The library, built if it is not in the cache; None where there is no way to have one."""
    compiler = os.environ.get("CXX") or next(filter(shutil.which, ("c++", "g++", "clang++")), None)
    if compiler is None or os.name != "posix":
        return None
    try:
        command = [compiler, *FLAGS, str(SOURCE), *_runtime()]
        target = _cache() / f"depthwise-{_key(command)}.so"
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                built = Path(folder) / target.name
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


def _cache() -> Path:
    home = os.environ.get("HDAS_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "hdas-dsl"


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
