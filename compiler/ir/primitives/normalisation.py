"""Normalisation over the batch, and over the channels of each token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Ints

from . import roles
from .base import Operator
from .parameters import Flag
from .torch_form import Argument, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Operator):
    """Batch normalisation of images (Ioffe and Szegedy, ICML 2015)."""

    name: ClassVar[str] = "batch_norm"
    ranks: ClassVar[tuple[int, ...]] = (3,)
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
        return self._module("BatchNorm", output)

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> tuple[TorchModule, ...]:
        return (self._module("nn.BatchNorm2d", output),)

    def _module(self, kind: str, output: Ints) -> TorchModule:
        width = channels("num_features", output[0], read=True)
        return TorchModule(kind, (width, Argument("affine", self.affine, default=True)))


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Operator):
    """Layer normalisation of a vector, or of every token (Ba et al., 2016)."""

    name: ClassVar[str] = "layer_norm"
    ranks: ClassVar[tuple[int, ...]] = (1, 2)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False
    fills: ClassVar[bool] = True

    def params(self, inputs: Sequence[Ints], output: Ints) -> int:
        return 2 * output[0]

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        kind = "nn.LayerNorm" if len(output) == 1 else "TokenLayerNorm"
        return TorchModule(kind, (channels("num_features", output[0], read=True),))
