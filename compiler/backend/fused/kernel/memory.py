"""Where tensors lie: addresses and pitches, as the kernel takes them."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


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


def address(tensor: Tensor | None) -> int | None:
    """Where a tensor begins."""
    return None if tensor is None else tensor.data_ptr()


def pointers(tensors: Sequence[Tensor | None]) -> bytes:
    """An array of the addresses of tensors; null for those that are None."""
    return addresses([0 if tensor is None else tensor.data_ptr() for tensor in tensors])


def addresses(values: Sequence[int]) -> bytes:
    """An array of addresses."""
    return struct.pack(f"{len(values)}P", *values)


def integers(values: Sequence[int]) -> bytes:
    """An array of 64-bit integers."""
    return struct.pack(f"{len(values)}q", *values)


@dataclass(frozen=True)
class Addresses:
    """Addresses of sources, parameters and mixing weights, or of their gradients; 0 for one that is not wanted."""

    sources: bytes
    parameters: bytes
    mixing: int

    @classmethod
    def of(
        cls, sources: Sequence[Tensor | None], parameters: Sequence[Tensor | None], mixing: Tensor | None
    ) -> Addresses:
        """The addresses of these tensors."""
        return cls(pointers(sources), pointers(parameters), 0 if mixing is None else mixing.data_ptr())
