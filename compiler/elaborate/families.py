"""How many elements a family has, and which indices they have."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.ir.decision import DecisionKind
from compiler.ir.undecided import MOST, Var
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .arithmetic import Arithmetic
from .body_elaboration import BodyElaboration
from .choices import Choices
from .errors import ElaborationError
from .frame import Frame
from .values import Value, shown


class FamilySizes:
    """Reads the sizes of families."""

    def __init__(self, choices: Choices, arithmetic: Arithmetic) -> None:
        self.choices = choices
        self.arithmetic = arithmetic

    def size(self, expr: ast.Expr, frame: Frame, name: str) -> int | Var[int]:
        """How many elements: a whole number, or a decision on it."""
        value: Value
        if isinstance(expr, ast.Choice):
            value = self.choices.decide(expr.items, frame, name, frame.mention(expr), DecisionKind.SIZE)
        else:
            value = self.arithmetic.number(expr, frame)
        numbers = []
        for number in value.values if isinstance(value, Var) else (value,):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise ElaborationError(
                    Code.RANGE, expr.span, f"a family has a whole number of elements, not {shown(number)}"
                )
            if number > MOST:
                raise ElaborationError(Code.LARGE, expr.span, f"a family has at most {MOST} elements, not {number}")
            numbers.append(number)
        return Var(value.decisions, value.sizes, tuple(numbers)) if isinstance(value, Var) else numbers[0]

    def indices(
        self, dims: Sequence[ast.Dim], body: BodyElaboration, name: str
    ) -> list[tuple[tuple[int, ...], dict[str, Value]]]:
        """All index tuples, with the indices by name; later sizes may depend on earlier indices."""
        found: list[tuple[tuple[int, ...], dict[str, Value]]] = [((), {})]
        for dim in dims:
            grown: list[tuple[tuple[int, ...], dict[str, Value]]] = []
            for index, names in found:
                size = self.size(dim.size, Frame.unrecorded(body, name, locals=dict(names)), name)
                if isinstance(size, Var):
                    raise ElaborationError(
                        Code.UNDECIDED, dim.size.span, "only the first index of a family can vary in size"
                    )
                grown += [((*index, i), {**names, dim.index: i}) for i in range(size)]
                if len(grown) > MOST:
                    raise ElaborationError(Code.LARGE, dim.size.span, f"a family has at most {MOST} elements")
            found = grown
        return found
