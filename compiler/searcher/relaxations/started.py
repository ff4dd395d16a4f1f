"""Weights that a search starts from: those that another search, of a network with tensors of the same names, left.

A tensor of equal name and shape is taken as it is. Where one architecture runs at a time, a smaller tensor takes the
part of the larger one that sharing weights defines: the first channels, the middle of a kernel. Where all run, a tensor
that has more channels begins with the smaller one, and repeats channels of it. Alphas start anew, or as those of items
of the same name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.backend.lowering.operators import slice_of
from compiler.ir.decision import Decision
from compiler.ir.primitives.base import Operator
from compiler.util.seeds import mix

from .base import Relaxed
from .single_path import OnePath


@dataclass(frozen=True)
class Started:
    """The names of a network's tensors: taken whole, taken in part, grown from smaller ones, and started anew."""

    whole: tuple[str, ...]
    part: tuple[str, ...]
    fresh: tuple[str, ...]
    grown: tuple[str, ...] = ()


@torch.no_grad()
def start_from(supernet: Relaxed, saved: Mapping[str, Tensor], seed: int = 0) -> Started:
    """Give a supernet's operations the weights and statistics of another's.

    Args:
        supernet: the one that starts.
        saved: the state dictionary of the other's network.
        seed: what the channels that are repeated follow from.
    """
    operators = supernet.operations.operators if isinstance(supernet, OnePath) else {}
    whole: list[str] = []
    part: list[str] = []
    fresh: list[str] = []
    grown: list[str] = []
    for name, own in supernet.network.state_dict().items():
        given = saved.get(name)
        if given is not None and given.shape == own.shape:
            own.copy_(given)
            whole.append(name)
        elif given is not None and (smaller := _part(operators, name, given, own)) is not None:
            own.copy_(smaller)
            part.append(name)
        elif given is not None and not operators and is_wider(own, given):
            own.copy_(widened(given, own.shape, seed))
            grown.append(name)
        else:
            fresh.append(name)
    return Started(tuple(whole), tuple(part), tuple(fresh), tuple(grown))


@torch.no_grad()
def start_alphas(supernet: Relaxed, earlier: Mapping[str, Decision], saved: Mapping[str, Tensor]) -> int:
    """Give items the alphas that items of the same name had in another supernet; how many decisions have some of these.

    Args:
        supernet: the one that starts.
        earlier: the decisions of the other, by path.
        saved: its alphas, by path.
    """
    count = 0
    for path, alpha in supernet.alphas.items():
        if path not in saved or path not in earlier or len(saved[path]) != len(earlier[path].items):
            continue
        places = {label: place for place, label in enumerate(earlier[path].items)}
        pairs = [(i, places[label]) for i, label in enumerate(supernet.space.decisions[path].items) if label in places]
        for item, place in pairs:
            alpha[item] = saved[path][place]
        count += bool(pairs)
    return count


def is_wider(own: Tensor, given: Tensor) -> bool:
    """Whether a tensor has the form of another, but for more channels: the first two dimensions."""
    if own.dim() != given.dim() or own.shape[2:] != given.shape[2:]:
        return False
    return all(a >= b > 0 for a, b in zip(own.shape, given.shape, strict=True))


def widened(given: Tensor, shape: torch.Size, seed: int) -> Tensor:
    """A tensor of more channels: first those of the one given, then some of these again.

    Which are repeated follows from the seed and both numbers of channels, so that in whatever reads or normalises a
    channel the same one is repeated. What the network computes changes: nothing is divided by the number of repetitions
    (Chen et al., "DrNAS: Dirichlet Neural Architecture Search", ICLR 2021).
    """
    for dim, (old, new) in enumerate(zip(given.shape, shape, strict=True)):
        if new > old:
            draw = torch.Generator().manual_seed(mix(seed, "grow", str(old), str(new)))
            again = torch.randint(old, (new - old,), generator=draw)
            given = given.index_select(dim, torch.cat([torch.arange(old), again]).to(given.device))
    return given


def _part(operators: Mapping[str, Operator], name: str, given: Tensor, own: Tensor) -> Tensor | None:
    """The part of a larger tensor that a smaller application of its operator uses; None where that is not known."""
    home = next((path for path in operators if name.startswith(f"{path}.")), None)
    fits = given.dim() == own.dim() and all(a >= b for a, b in zip(given.shape, own.shape, strict=True))
    if home is None or not fits or type(operators[home]).part is not Operator.part:
        return None
    operator = operators[home]
    return slice_of(given, operator.part(name.removeprefix(f"{home}."), tuple(given.shape), tuple(own.shape), operator))
