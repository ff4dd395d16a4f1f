"""Weights that a search starts from: those that another search, of a network with tensors of the same names, left.

A tensor of equal name and shape is taken as it is. Where one architecture runs at a time, a smaller tensor takes the
part of the larger one that sharing weights defines: the first channels, the middle of a kernel. Alphas start anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.backend.lowering.operators import slice_of
from compiler.ir.primitives.base import Operator

from .base import Relaxed
from .single_path import OnePath


@dataclass(frozen=True)
class Started:
    """The names of a network's tensors: those taken whole, those taken in part, and those that start anew."""

    whole: tuple[str, ...]
    part: tuple[str, ...]
    fresh: tuple[str, ...]


@torch.no_grad()
def start_from(supernet: Relaxed, saved: Mapping[str, Tensor]) -> Started:
    """Give a supernet's operations the weights and statistics of another's.

    Args:
        supernet: the one that starts.
        saved: the state dictionary of the other's network.
    """
    operators = supernet.operations.operators if isinstance(supernet, OnePath) else {}
    whole: list[str] = []
    part: list[str] = []
    fresh: list[str] = []
    for name, own in supernet.network.state_dict().items():
        given = saved.get(name)
        if given is not None and given.shape == own.shape:
            own.copy_(given)
            whole.append(name)
        elif given is not None and (smaller := _part(operators, name, given, own)) is not None:
            own.copy_(smaller)
            part.append(name)
        else:
            fresh.append(name)
    return Started(tuple(whole), tuple(part), tuple(fresh))


def _part(operators: Mapping[str, Operator], name: str, given: Tensor, own: Tensor) -> Tensor | None:
    """The part of a larger tensor that a smaller application of its operator uses; None where that is not known."""
    home = next((path for path in operators if name.startswith(f"{path}.")), None)
    fits = given.dim() == own.dim() and all(a >= b for a, b in zip(given.shape, own.shape, strict=True))
    if home is None or not fits or type(operators[home]).part is not Operator.part:
        return None
    operator = operators[home]
    return slice_of(given, operator.part(name.removeprefix(f"{home}."), tuple(given.shape), tuple(own.shape), operator))
