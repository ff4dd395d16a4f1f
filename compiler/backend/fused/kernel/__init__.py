"""The C++ kernel of the sums: how it is built, what it supports, and its functions, called with tensors."""

from __future__ import annotations

from .build import can_run, is_available, no_kernel
from .filters import Filter, Kind, supports
from .functions import (
    NormState,
    PlainAddresses,
    filter_backward,
    filter_forward,
    lanes,
    norm_backward,
    norm_forward,
    plain_backward,
    plain_forward,
    terms_backward,
    terms_forward,
)
from .layout import Geometry, KernelLayoutError, Term
from .memory import Addresses, pitch

__all__ = [
    "Addresses",
    "Filter",
    "Geometry",
    "KernelLayoutError",
    "Kind",
    "NormState",
    "PlainAddresses",
    "Term",
    "can_run",
    "filter_backward",
    "filter_forward",
    "is_available",
    "lanes",
    "no_kernel",
    "norm_backward",
    "norm_forward",
    "pitch",
    "plain_backward",
    "plain_forward",
    "supports",
    "terms_backward",
    "terms_forward",
]
