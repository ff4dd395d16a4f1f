"""A recurrence over positions, the two ends of its loop: the prelude's `scan` puts a cell between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from compiler.ir.shape import Extent, Ints, Shape

from .base import Operator, Saved
from .parameters import Whole
from .torch_form import Expression, Tightness, TorchCall, TorchModule, channels


@dataclass(frozen=True, kw_only=True)
class PreviousState(Operator):
    """What a cell gave at the position before each: (c, n) beside an input (c', n); zeros at the first.

    By itself it is zeros. The cell that reads it is called position after position (`NextState`).
    """

    name: ClassVar[str] = "previous_state"
    ranks: ClassVar[tuple[int, ...]] = (2,)
    any_width: ClassVar[bool] = False
    pure: ClassVar[bool] = False  # Two recurrences over one input have each a state of their own.
    opens_loop: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE

    c: Annotated[int, Whole("the width of the state")]

    def result(self, inputs: Sequence[Shape]) -> tuple[Extent | None, ...]:
        return self.c, *inputs[0].space

    def torch_module(self, inputs: Sequence[Ints], output: Ints) -> TorchModule:
        return TorchModule("ZeroState", (channels("c", output[0]),))

    def source_modules(self, inputs: Sequence[Ints], output: Ints) -> None:
        return None

    def source_expression(self, inputs: Sequence[Ints], output: Ints) -> Expression:
        template = "{0}.new_zeros(len({0}), {c}, {0}.shape[2])"
        return Expression(template, (channels("c", output[0]),), needs=(Tightness.ATOM,))


@dataclass(frozen=True, kw_only=True)
class NextState(Operator):
    """Its first input, which is the state that its second input, a `PreviousState`, has at the next position.

    The cell that gives the first input is thereby a loop: of each input it reads one position at a time.
    """

    name: ClassVar[str] = "next_state"
    arity: ClassVar[int | None] = 2
    ranks: ClassVar[tuple[int, ...]] = (2,)
    any_width: ClassVar[bool] = False
    closes_loop: ClassVar[bool] = True
    absorbs_zero: ClassVar[bool] = True
    preserves_zero: ClassVar[bool] = True
    view: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.NONE
    torch_call: ClassVar[TorchCall | None] = TorchCall("first")

    def refusal(self, inputs: Sequence[Shape], output: Shape) -> str | None:
        if len(inputs) > 1 and inputs[0] != inputs[1]:
            return f"gets {inputs[0]} of a cell whose state is {inputs[1]}"
        return super().refusal(inputs, output)
