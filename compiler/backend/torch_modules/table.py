"""The modules and functions that primitives name as their torch forms (`compiler.ir.primitives.torch_form`)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from .attention import Attention, CausalAttention, CrossAttention
from .channels import Cut, Shuffle
from .images import ChannelsLast, Crop, GlobalMaxPool, GlobalPool, Noise, Resize, Upsample, Zero
from .matrices import MatMul, Permute, Unflatten
from .mixing import Scaled, gate
from .pooling import AvgPool2d
from .recurrence import ZeroState, first, scan
from .regularisation import Dropout, DropPath, Fade
from .shared_weights import AddBias, WeightMatrix, looked_up, projected
from .tokens import (
    ClassToken,
    FirstToken,
    Gru,
    LastToken,
    Lstm,
    Patches,
    PixelLayerNorm,
    Positions,
    Sinusoids,
    TokenEmbedding,
    TokenLayerNorm,
    TokenLinear,
)

COPIED: tuple[type[nn.Module], ...] = (
    *(TokenLinear, TokenLayerNorm, PixelLayerNorm),
    *(Attention, CausalAttention, CrossAttention),
    *(Patches, ClassToken, Positions, Sinusoids),
    *(TokenEmbedding, Gru, Lstm),
    *(WeightMatrix, AddBias),
)
"""Modules whose text stands by itself, with ``torch``, ``nn``, ``F`` and ``Tensor``: exported files copy it."""

HELPERS: Mapping[str, Callable[..., nn.Module | Tensor]] = {**{kind.__name__: kind for kind in COPIED}, "scan": scan}
"""All that exported files may copy, by name."""

_OWN = (
    *COPIED,
    ChannelsLast,
    Crop,
    Cut,
    DropPath,
    Dropout,
    Fade,
    FirstToken,
    GlobalMaxPool,
    GlobalPool,
    LastToken,
    MatMul,
    Noise,
    Permute,
    Resize,
    Scaled,
    Shuffle,
    Unflatten,
    Upsample,
    Zero,
    ZeroState,
)

MODULES: Mapping[str, type[nn.Module]] = {kind.__name__: kind for kind in _OWN}
"""Modules of this package by name."""

IN_THE_PLACE_OF: Mapping[str, type[nn.Module]] = {"nn.AvgPool2d": AvgPool2d}
"""Modules of this package that compute what one of torch is meant to, by its name; exported files name torch's."""

FUNCTIONS: Mapping[str, Callable[..., Tensor | tuple[Tensor, ...]]] = {
    "operator.add": operator.add,
    "torch.cat": torch.cat,
    "torch.lerp": torch.lerp,
    "gate": gate,
    "first": first,
    "projected": projected,
    "looked_up": looked_up,
    "tuple": tuple,
}
"""Functions of tensors by name."""


def module_class(kind: str) -> type[nn.Module]:
    """The class of a module: ``nn.NAME`` of torch, or one of `MODULES`.

    Raises:
        KeyError: there is none.
    """
    if not kind.startswith("nn."):
        return MODULES[kind]
    if kind in IN_THE_PLACE_OF:
        return IN_THE_PLACE_OF[kind]
    found = getattr(nn, kind.removeprefix("nn."), None)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise KeyError(kind)
    return found
