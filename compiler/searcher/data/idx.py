"""IDX files, the format of MNIST, plain or gzipped, and the folders in which its datasets are looked for.

An IDX file of bytes starts with 0, 0, 8 and its number of dimensions, then has each dimension as 4 bytes, the highest
first, and then the bytes (http://yann.lecun.com/exdb/mnist describes it).
"""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Sequence
from io import BufferedReader
from pathlib import Path

import torch
from torch import Tensor

from compiler.searcher.settings.datasets import DataError

from .files import obstacle, unreadable

FILES = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
"""The images and labels of the training part, then of the test part."""


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The bytes of an IDX file, in its shape.

    Raises:
        DataError: when it is not whole, or is none of that many dimensions; no more is read than its header promises.
    """
    if why := obstacle(path):
        raise DataError(f"{path} {why}")
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            header = _read(file, 4 + 4 * dimensions)
            expected = bytes([0, 0, 8, dimensions])
            if header[:4] != expected:
                known = f"starts with the bytes {header[:4].hex(' ') or 'none'}, not {expected.hex(' ')}"
                raise DataError(f"{path} is not an IDX file of {dimensions} dimensions: it {known}")
            if len(header) < 4 + 4 * dimensions:
                raise DataError(f"{path} ends within its header")
            shape = struct.unpack(f">{dimensions}I", header[4:])
            size = math.prod(shape)
            content = _read(file, size + 1)
    except OSError as error:
        raise DataError(f"{path} {unreadable(error)}") from None
    except (EOFError, zlib.error):
        raise DataError(f"{path} is damaged: it cannot be decompressed to its end") from None
    if len(content) != size:
        found = f"only {len(content):,}" if len(content) < size else "more"
        raise DataError(f"{path} should hold {size:,} bytes after its header, but holds {found}")
    return torch.frombuffer(content, dtype=torch.uint8).view(shape) if size else torch.zeros(shape, dtype=torch.uint8)


def _read(file: BufferedReader | gzip.GzipFile, size: int) -> bytearray:
    """Up to ``size`` bytes; what a header promises is not allocated before it is there."""
    content = bytearray()
    while len(content) < size and (part := file.read(min(size - len(content), 1 << 20))):
        content += part
    return content


def present(folder: Path) -> list[Path | None]:
    """The path in ``folder`` of each of `FILES`, plain before gzipped; None where neither exists."""
    names = [[folder / name, folder / f"{name}.gz"] for name in FILES]
    return [next((path for path in paths if os.path.lexists(path)), None) for paths in names]


def whole(folder: Path) -> list[Path] | None:
    """The paths of all `FILES` in ``folder``; None where one is missing."""
    paths = [path for path in present(folder) if path is not None]
    return paths if len(paths) == len(FILES) else None


def shared_folders(name: str) -> Sequence[Path]:
    """Where the packages of the system keep a dataset: ``datasets/NAME`` in the shared folders of XDG_DATA_DIRS."""
    shared = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [Path(folder, "datasets", name) for folder in shared.split(":") if folder]
