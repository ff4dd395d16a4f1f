"""Arithmetic on numbers, of which some may be undecided or open."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from compiler.ir.numbers import BINARY, COMPARISONS, COMPUTE, reason, tidy
from compiler.ir.undecided import Open, Var, lift
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import NUMERIC

from .choices import Choices
from .errors import ElaborationError
from .frame import Evaluate, Frame
from .session import Session
from .values import (
    Bundle,
    Extents,
    Menu,
    Number,
    NumberValue,
    Value,
    callable_name,
    flatten,
    is_undecided_number,
    kind,
    shown,
)


class Arithmetic:
    """Reads numbers, and computes with them; a menu of numbers is decided where it is read."""

    def __init__(self, session: Session, choices: Choices, evaluate: Evaluate) -> None:
        self.session = session
        self.choices = choices
        self.evaluate = evaluate

    # ------------------------------------------------------------ numbers that are read

    def number(self, expr: ast.Expr, frame: Frame) -> NumberValue:
        """A number or truth value, maybe undecided; or a text, which may be compared."""
        value = self._settled(self.evaluate(expr, frame), frame)
        if isinstance(value, Open | int | float | str) or is_undecided_number(value):
            return value
        raise ElaborationError(Code.KIND, expr.span, f"a number is needed here, not {kind(value)}")

    def whole(self, expr: ast.Expr, frame: Frame) -> int:
        """A plain whole number."""
        value = self.number(expr, frame)
        if isinstance(value, Var):
            raise ElaborationError(Code.UNDECIDED, expr.span, f"a decided number is needed here, not one {value}")
        if isinstance(value, bool) or not isinstance(value, int | float) or int(value) != value:
            raise ElaborationError(Code.KIND, expr.span, f"a whole number is needed here, not {shown(value)}")
        return int(value)

    def _settled(self, value: Value, frame: Frame) -> Value:
        if isinstance(value, Menu):
            return self.choices.settle_menu(value, f"{frame.name}.{callable_name(value)}", frame)
        return value

    # ------------------------------------------------------------ operators

    def unary(self, expr: ast.Unary, frame: Frame) -> Value:
        """``-x`` and ``not x``."""
        operand = self.number(expr.operand, frame)
        if isinstance(operand, Open | str):
            raise ElaborationError(Code.KIND, expr.operand.span, f"'{expr.op}' needs a number, not {kind(operand)}")
        change: Callable[[Number], Number] = operator.not_ if expr.op == "not" else operator.neg
        return lift(change, operand)

    def logic(self, expr: ast.Binary, frame: Frame) -> Value:
        """``and``, ``or``: the right side is read where it matters."""
        left = self.number(expr.left, frame)
        if isinstance(left, Var):
            right = self.number(expr.right, frame)
            return lift((lambda a, b: a and b) if expr.op == "and" else (lambda a, b: a or b), left, right)
        if bool(left) is (expr.op == "or"):
            return left
        return self.number(expr.right, frame)

    def binary(self, expr: ast.Binary, left: Value, right: Value, frame: Frame) -> Value:
        """An infix word between numbers."""
        if expr.op == "in" and isinstance(right, Bundle):
            return lift(lambda a: any(a == item for item in right.items), left)
        if isinstance(left, Extents) or isinstance(right, Extents):
            return self._of_extents(expr, left, right, frame)
        sides: list[NumberValue | Var[Value]] = []
        for value, side in ((left, expr.left), (right, expr.right)):
            value = self._settled(value, frame)
            if not isinstance(value, int | float | str | Open | Var) or isinstance(value, str) != isinstance(left, str):
                raise ElaborationError(Code.KIND, side.span, f"'{expr.op}' needs numbers, not {kind(value)}")
            sides.append(value)
        if isinstance(left, str) and expr.op not in COMPARISONS:
            raise ElaborationError(Code.KIND, expr.left.span, f"'{expr.op}' needs numbers, not a text")
        if any(isinstance(side, Open) for side in sides):
            return True if expr.op == "==" and sides[0] is sides[1] else self.session.open()
        compute = BINARY[expr.op]
        try:
            return lift(lambda a, b: tidy(compute(a, b)), *sides)
        except (ArithmeticError, TypeError) as error:
            raise ElaborationError(Code.RANGE, expr.span, f"'{expr.op}' has no value here: {reason(error)}") from None

    def _of_extents(self, expr: ast.Binary, left: Value, right: Value, frame: Frame) -> Value:
        """``x.rest // 2``: an infix word between a number and each extent of a tensor, or between those of two."""
        one, other = (side.items if isinstance(side, Extents) else None for side in (left, right))
        count = len((one if one is not None else other) or ())
        pairs = zip(one or (left,) * count, other or (right,) * count, strict=False)
        if one is not None and other is not None and len(one) != len(other):
            message = f"'{expr.op}' needs as many extents on both sides, not {len(one)} and {len(other)}"
            raise ElaborationError(Code.SHAPE, expr.span, message)
        return Extents(tuple(self.binary(expr, a, b, frame) for a, b in pairs))

    def function(self, name: str, inputs: Sequence[Value], arguments: Sequence[Value], span: Span) -> Value:
        """A function of numbers, such as ``min`` (`hdas_dsl.tree.words.NUMERIC`); it takes no tensors as ``inputs``."""
        count, compute = NUMERIC[name], COMPUTE[name]
        args = [part for value in arguments for part in flatten(value)]
        if inputs or (count is not None and len(args) != count) or not args:
            raise ElaborationError(Code.ARGUMENT, span, f"'{name}' takes {count or 'some'} numbers")
        for value in args:
            if not isinstance(value, int | float | Open | Var):
                raise ElaborationError(Code.KIND, span, f"'{name}' takes numbers, not {kind(value)}")
        if any(isinstance(value, Open) for value in args):
            return self.session.open()
        try:
            return lift(lambda *plain: tidy(compute(*plain)), *args)
        except (ValueError, ArithmeticError, TypeError) as error:
            raise ElaborationError(Code.RANGE, span, f"'{name}' has no value here: {reason(error)}") from None
