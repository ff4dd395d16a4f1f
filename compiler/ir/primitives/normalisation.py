"""Normalisation over the batch, over channels, over groups of them, and over each channel by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Ints, Shape

from . import roles
from .base import Operator
from .convolution import split_refusal
from .parameters import Flag, Whole
from .torch_form import Argument, Role, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Operator):
    """Batch normalisation of each channel (Ioffe and Szegedy, ICML 2015)."""

    name: ClassVar[str] = "batch_norm"
    stepwise: ClassVar[bool] = True
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    passes_over_memory: ClassVar[int] = 4

    affine: Annotated[bool, Flag()] = True

    @property
    def role(self) -> roles.BatchNormalisation:
        return roles.BatchNormalisation(self.affine)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0] if self.affine else 0

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return self._module("BatchNorm" if len(output) == 3 else _of_rank("nn.BatchNorm", output), output)

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> tuple[TorchModule, ...]:
        return (self._module(_of_rank("nn.BatchNorm", output), output),)

    def _module(self, kind: str, output: Ints) -> TorchModule:
        width = channels("num_features", output[0], read=True)
        return TorchModule(kind, (width, Argument("affine", self.affine, default=True)))


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Operator):
    """Layer normalisation over the channels: of a vector, or of every token or pixel (Ba et al., 2016)."""

    name: ClassVar[str] = "layer_norm"
    stepwise: ClassVar[bool] = True
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        kind = {1: "nn.LayerNorm", 2: "TokenLayerNorm"}.get(len(output), "PixelLayerNorm")
        return TorchModule(kind, (channels("num_features", output[0], read=True),))


@dataclass(frozen=True, kw_only=True)
class GroupNorm(Operator):
    """Normalisation over each of ``groups`` of channels, at all positions (Wu and He, ECCV 2018)."""

    name: ClassVar[str] = "group_norm"
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    passes_over_memory: ClassVar[int] = 4

    groups: Annotated[int, Whole()]

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        return split_refusal(inputs[0].c, self.groups) or super().refusal(inputs, output)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        groups = Argument("num_groups", self.groups, Role.GROUPS, positional=True, short="groups")
        return TorchModule("nn.GroupNorm", (groups, channels("num_channels", output[0], read=True)))


@dataclass(frozen=True, kw_only=True)
class InstanceNorm(Operator):
    """Normalisation of each channel of each image by itself (Ulyanov et al., 2016)."""

    name: ClassVar[str] = "instance_norm"
    ranks: ClassVar[tuple[int, ...]] = (2, 3, 4)
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    passes_over_memory: ClassVar[int] = 4

    affine: Annotated[bool, Flag()] = True

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if len(inputs[0].dims) in self.ranks and all(size == 1 for size in inputs[0].space):
            return f"needs more than one position in each channel of {inputs[0]}"
        return super().refusal(inputs, output)

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0] if self.affine else 0

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        width = channels("num_features", output[0], read=True)
        affine = Argument("affine", self.affine, default=False)
        return TorchModule(_of_rank("nn.InstanceNorm", output), (width, affine))


def _of_rank(kind: str, shape: Ints) -> str:
    """The module of torch for tensors of a shape: ``nn.BatchNorm1d`` to ``nn.BatchNorm3d``."""
    return f"{kind}{max(len(shape) - 1, 1)}d"
