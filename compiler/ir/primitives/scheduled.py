"""Primitives that a search adds to a graph, with rates that schedules set: no text and no architecture has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.shape import Ints

from .base import Operator, Saved
from .torch_form import TorchModule


@dataclass(frozen=True, kw_only=True)
class Dropout(Operator):
    """Its input, each number of it dropped with a probability that a schedule sets, in training."""

    name: ClassVar[str] = "dropout"
    pure: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        """The module whose rate is set."""
        return TorchModule("Dropout")


@dataclass(frozen=True, kw_only=True)
class Fade(Operator):
    """Its input times a number that a schedule sets."""

    name: ClassVar[str] = "fade"
    pure: ClassVar[bool] = False
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        """The module whose rate is set."""
        return TorchModule("Fade")
