"""The library of C++ code: built at first use where a compiler is there, cached, else silently unnecessary.

A cached library is found by a hash of everything that it depends on: the sources, the command, the compiler and the
processor, since it is built for just that. `HDAS_KERNEL=off` leaves it out.
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
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from hdas_dsl.cache import cache_folder

from .layout import check_layouts

FOLDER = Path(__file__).with_name("cpp")
SOURCE = FOLDER / "kernel.cpp"
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fno-math-errno", "-fPIC", "-shared", "-fopenmp"),
    *("-Wall", "-Wextra"),
)
COMPILERS = ("c++", "g++", "clang++")
SECONDS = 900
"""How long the compiler may take: a quarter of a minute alone, twenty times that on a machine that many share."""
SUFFIXES = {torch.float32: "f32", torch.float64: "f64"}
"""The suffix of the functions for each type of number."""

_enabled: ContextVar[bool] = ContextVar("_enabled", default=True)


@contextmanager
def no_kernel() -> Iterator[None]:
    """Compute without the C++ kernel inside this context, as on a machine without a compiler."""
    token = _enabled.set(False)
    try:
        yield
    finally:
        _enabled.reset(token)


def is_available() -> bool:
    """Whether the kernel can be used at all; builds it at the first call."""
    return _enabled.get() and os.environ.get("HDAS_KERNEL", "") != "off" and library() is not None


def can_run(x: Tensor) -> bool:
    """Whether the kernel can compute with this tensor here and now."""
    return x.device.type == "cpu" and x.dtype in SUFFIXES and is_available()


@cache
def library() -> ctypes.CDLL | None:
    """The library, built if it is not in the cache; None where there is no way to have one.

    Raises:
        KernelLayoutError: its structures are not those that Python writes.
    """
    compiler = find_compiler()
    folder = cache_folder()
    if compiler is None or folder is None or os.name != "posix":
        return None
    try:
        command = [compiler, *FLAGS, str(SOURCE), *_runtime()]
        target = folder / f"kernel-{_key(command)}.so"
        if not target.is_file():
            with tempfile.TemporaryDirectory(dir=folder) as apart:
                built = Path(apart) / target.name
                subprocess.run([*command, "-o", str(built)], check=True, capture_output=True, timeout=SECONDS)
                # In one step, so that another process never sees half of it.
                built.replace(target)
        loaded = ctypes.CDLL(str(target))
    except (OSError, subprocess.SubprocessError):
        return None
    loaded.layouts.restype = ctypes.c_char_p
    check_layouts(loaded.layouts().decode())
    return loaded


def find_compiler() -> str | None:
    """The command of a C++ compiler: `CXX`, or the first that is installed."""
    return os.environ.get("CXX") or next(filter(shutil.which, COMPILERS), None)


def sources() -> list[Path]:
    """Every file that the library is compiled from."""
    return sorted(path for path in FOLDER.iterdir() if path.suffix in (".cpp", ".h"))


def _runtime() -> list[str]:
    """torch's own OpenMP library, so that there is one pool of threads and not two that wait for each other."""
    root = Path(torch.__file__).parent
    found = [path for folder in ("torch.libs", "torch/lib") for path in sorted((root.parent / folder).glob("libgomp*"))]
    return [str(found[0])] if found else []


def _key(command: list[str]) -> str:
    """A digest of the command, compiler, processor and sources of a library, in sixteen hexadecimal digits."""
    digest = hashlib.sha256()
    version = subprocess.run([command[0], "--version"], check=True, capture_output=True, timeout=SECONDS).stdout
    processor = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor += "".join(sorted({line for line in lines if line.startswith(("flags", "Features", "model name"))}))
    parts = [part.encode() for part in (*command[1:], version.decode(errors="replace"), processor)]
    for path in sources():
        parts += [path.name.encode(), path.read_bytes()]
    for part in parts:
        digest.update(part + b"\0")
    return digest.hexdigest()[:16]
