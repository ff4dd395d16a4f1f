"""The several outputs of a network as one node of its graph, which elaboration makes: no text names it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from compiler.ir.shape import Ints

from .base import Operator, Saved
from .torch_form import Expression, Operands, TorchCall


@dataclass(frozen=True, kw_only=True)
class Outputs(Operator):
    """A tuple of its inputs, in their order; the shape of its node is that of the first."""

    name: ClassVar[str] = "outputs"
    arity: ClassVar[int | None] = None
    packs: ClassVar[bool] = True
    torch_call: ClassVar[TorchCall | None] = TorchCall("tuple", Operands.LIST)
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        """All of them, where they are returned."""
        return Expression(", ".join(f"{{{n}}}" for n in range(len(inputs))))
