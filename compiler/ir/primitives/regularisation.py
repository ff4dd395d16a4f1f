"""Operators that drop whole paths or single numbers at random in a training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Ints

from .base import Operator, Saved
from .parameters import Share
from .torch_form import Argument, TorchModule


@dataclass(frozen=True, kw_only=True)
class DropPath(Operator):
    """Its input, dropped as a whole with the probability that the `train` section schedules.

    Larsson et al., "FractalNet", ICLR 2017.
    """

    name: ClassVar[str] = "drop_path"
    stepwise: ClassVar[bool] = True
    pure: ClassVar[bool] = False
    identity: ClassVar[bool] = True
    drops_paths: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("DropPath")


@dataclass(frozen=True, kw_only=True)
class Dropout(Operator):
    """Its input; while a network trains, a share ``p`` of its numbers is zero (Srivastava et al., JMLR 2014)."""

    name: ClassVar[str] = "dropout"
    stepwise: ClassVar[bool] = True
    pure: ClassVar[bool] = False
    drops_units: ClassVar[bool] = True
    view: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    p: Annotated[float, Share("the share that is dropped")] = 0.5

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("nn.Dropout", (Argument("p", self.p, positional=True),))
