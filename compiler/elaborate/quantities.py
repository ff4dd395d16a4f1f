"""`require`, `minimize` and `maximize`: from syntax to quantities and conditions as plain data.

One reader serves all three. Plain numbers, names that a body binds to one, and arithmetic on these are folded while it
reads; `not` turns the relations below it around.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from compiler.ir.conditions import negated
from compiler.ir.counted import Counted
from compiler.ir.decision import Decision
from compiler.ir.numbers import BINARY, reason, tidy
from compiler.ir.quantities import (
    AlphaForm,
    AlphaMean,
    And,
    Arithmetic,
    Comparison,
    Condition,
    Constant,
    DepthForm,
    Indicator,
    Logarithm,
    Loss,
    Or,
    Preference,
    Quantity,
    Relation,
    Total,
    Unknown,
    WeightSchedule,
)
from compiler.searcher.settings.reader import read_schedule
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import (
    ALPHA_QUANTITIES,
    CONSTANTS,
    FAMILY_QUANTITIES,
    QUANTITIES,
    SCHEDULES,
    TOTALS,
    QuantityArgument,
)

from .body_elaboration import BodyElaboration, Copy
from .errors import ElaborationError
from .family_quantities import depth_of, family_of, form_of, length_of, only
from .named import copy_named, named
from .setting_values import plain as setting_value

Plain = Callable[[ast.Expr, BodyElaboration], object]
"""The value of an expression that holds no quantity, such as a weight."""

RELATIONS = {relation.value: relation for relation in Relation}

SMOOTH = ("+", "-", "*", "/", "**")
"""The arithmetic of preferences, which are differentiated."""

WHOLE = ("//", "%")
"""The division of whole numbers, which only conditions have besides."""

DIVISIONS = ("/", "//", "%")


def read_preference(
    line: ast.Preference,
    body: BodyElaboration,
    decisions: Mapping[str, Decision],
    copies: Mapping[str, Copy],
    plain: Plain,
) -> Preference:
    """A preference of a body, about its own families or about the whole network.

    Raises:
        ElaborationError: its weight is neither a plain number nor a schedule, or its expression is not a quantity.
    """
    weight = 1.0 if line.weight is None else _weight(line.weight, body, plain)
    quantity = _PreferenceReader(body, decisions, copies, plain).quantity(line.quantity)
    return Preference(_unused(f"{_called(line.quantity)} {body.copy}", body), line.sense, quantity, weight)


def _weight(expr: ast.Expr, body: BodyElaboration, plain: Plain) -> float | WeightSchedule:
    """The weight of a preference, a number or a schedule over the epochs."""
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name) and expr.func.id in SCHEDULES:
        schedule, wrong = read_schedule(setting_value(expr), expr.span)
        if schedule is None:
            raise ElaborationError.of(wrong[0])
        return schedule
    weight = plain(expr, body)
    if not isinstance(weight, int | float):
        raise ElaborationError(Code.VALUE, expr.span, "the weight of a preference is a plain number, or a schedule")
    return float(weight)


def read_condition(expr: ast.Expr, body: BodyElaboration) -> Condition:
    """The condition of a `require` that stands in a body.

    An expression that is neither a quantity nor a number, such as the width of a tensor, is an `Unknown`.

    Raises:
        ElaborationError: a quantity lacks its argument, or arithmetic on plain numbers has no value.
    """
    return _ConditionReader(body).condition(expr)


def _called(expr: ast.Expr) -> str:
    match expr:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return name
    return "preference"


def _unused(name: str, body: BodyElaboration) -> str:
    """The name of a preference, numbered where another preference of the body has the same name."""
    number = body.preferred[name] = body.preferred.get(name, 0) + 1
    return name if number == 1 else f"{name} {number}"


# ---------------------------------------------------------------- the reader


@dataclass(frozen=True)
class _Reader:
    """Reads what preferences and conditions have in common: totals, numbers, arithmetic on both.

    Args:
        body: the body that the statement stands in, with its names and its copy.
    """

    body: BodyElaboration

    def quantity(self, expr: ast.Expr) -> Quantity:
        """The quantity that an expression states."""
        match expr:
            case ast.Number():
                return Constant(expr.value)
            case ast.Name(id=name):
                return self.named(expr, name)
            case ast.Unary(op="-", operand=operand):
                return _computed("-", Constant(0), self.quantity(operand), expr.span)
            case ast.Binary(op=op, left=left, right=right) if op in SMOOTH:
                return _computed(op, self.quantity(left), self.quantity(right), expr.span)
            case ast.Call(func=ast.Name(id=name), args=args) if name in QUANTITIES:
                return self.called(expr, name, args)
        return self.other(expr)

    def named(self, expr: ast.Name, name: str) -> Quantity:
        """A bare name: one that the body binds, a constant of the language, or a quantity without an argument."""
        if name in self.body.bindings:
            value = self.body.bindings[name]
            return Constant(value) if isinstance(value, int | float) else self.other(expr)
        if name in CONSTANTS:
            return Constant(CONSTANTS[name])
        if name not in QUANTITIES:
            return self.other(expr)
        if QUANTITIES[name].argument not in (QuantityArgument.NONE, QuantityArgument.COPY):
            raise _lacks_argument(name, expr.span)
        return self.total(name, None, expr.span) if name in TOTALS else self.beyond_totals(expr, name, ())

    def called(self, expr: ast.Call, name: str, args: tuple[ast.Arg, ...]) -> Quantity:
        """A quantity with an argument."""
        match QUANTITIES[name].argument, args:
            case QuantityArgument.OPERATION, (ast.Arg(name=None, value=ast.Name() | ast.Field() as operation),):
                return replace(self.total(name, operation.span.text, expr.span), counted=self.counted(operation))
            case QuantityArgument.TABLE, (ast.Arg(name=None, value=ast.String(value=argument)),):
                return self.total(name, argument, expr.span)
            case QuantityArgument.QUANTITY, (ast.Arg(name=None, value=inner),):
                return Logarithm(self.quantity(inner))
            case QuantityArgument.COPY, (ast.Arg(name=None, value=ast.Name() | ast.Field()),):
                return self.beyond_totals(expr, name, args)
            case QuantityArgument.FAMILY, (_, *_):
                return self.beyond_totals(expr, name, args)
            case QuantityArgument.NONE, _:
                return self.other(expr)
        raise _lacks_argument(name, expr.span)

    def total(self, name: str, argument: str | None, span: Span) -> Total:
        """A total of the network, or of this body where it is structural."""
        found = Total(name, argument, span=span)
        if found.structural:
            return replace(found, copy=None if self.body.root else self.body.copy)
        if found.by_table and argument is not None:
            return replace(found, file=self.body.instance.unit.beside(argument))
        return found

    def counted(self, expr: ast.Name | ast.Field) -> Counted | None:
        """The operation that the argument of `count` names; None where the name is not visible here."""
        entity = named(expr, self.body)
        return None if entity is None else Counted.of(entity)

    def beyond_totals(self, expr: ast.Expr, name: str, args: tuple[ast.Arg, ...]) -> Quantity:
        """A quantity that only a supernet has: of a family or of alphas, or the loss."""
        return self.other(expr)

    def other(self, expr: ast.Expr) -> Quantity:
        """Any other expression."""
        return Unknown(expr.span)


class _ConditionReader(_Reader):
    """Reads conditions on an architecture, which has neither a loss nor depths."""

    def condition(self, expr: ast.Expr) -> Condition:
        """The condition that an expression states; a number holds unless it is 0."""
        match expr:
            case ast.Unary(op="not", operand=operand):
                return negated(self.condition(operand))
            case ast.Binary(op="and", left=left, right=right):
                return And(self.condition(left), self.condition(right))
            case ast.Binary(op="or", left=left, right=right):
                return Or(self.condition(left), self.condition(right))
            case ast.Binary(op=op, left=left, right=right) if op in RELATIONS:
                return Comparison(RELATIONS[op], self.quantity(left), self.quantity(right))
        return Comparison(Relation.UNEQUAL, self.quantity(expr), Constant(0))

    def other(self, expr: ast.Expr) -> Quantity:
        """A condition as a number, whole division, or an expression without a value for an architecture."""
        match expr:
            case ast.Binary(op=op, left=left, right=right) if op in WHOLE:
                return _computed(op, self.quantity(left), self.quantity(right), expr.span)
            case ast.Unary(op="not") | ast.Binary(op="and" | "or" | "==" | "!=" | "<" | "<=" | ">" | ">="):
                return Indicator(self.condition(expr))
        functions = {node.func for node in expr.walk() if isinstance(node, ast.Call)}
        for node in expr.walk():
            if isinstance(node, ast.Name) and node not in functions and node.id not in self.body.bindings:
                word = QUANTITIES.get(node.id)
                if word is not None and word.argument not in (QuantityArgument.NONE, QuantityArgument.COPY):
                    raise _lacks_argument(node.id, node.span)
        return Unknown(expr.span)


@dataclass(frozen=True)
class _PreferenceReader(_Reader):
    """Reads preferences over a supernet.

    Args:
        body: the body that the statement stands in.
        decisions: the decisions made so far, among them the edges of the body's families.
        copies: the copies met so far, by path.
        plain: evaluates an expression without a quantity.
    """

    decisions: Mapping[str, Decision]
    copies: Mapping[str, Copy]
    plain: Plain

    def beyond_totals(self, expr: ast.Expr, name: str, args: tuple[ast.Arg, ...]) -> Quantity:
        """The loss, a mean over alphas, or the depth or expected length of a family."""
        if name in ALPHA_QUANTITIES:
            copy = copy_named(args[0].value, self.body, self.copies) if args else None
            return AlphaMean(AlphaForm(name), copy if self.body.root else copy or self.body.copy)
        if name not in FAMILY_QUANTITIES:
            return Loss()
        family = family_of(args[0], self.body)
        options = {arg.name: arg for arg in args[1:]}
        if name == "length":
            only(options, ())
            return length_of(family, self.body)
        only(options, ("ends", "form"))
        ends = bool(self.plain(options["ends"].value, self.body)) if "ends" in options else False
        form = form_of(options["form"]) if "form" in options else DepthForm.WINDOW
        return depth_of(family, self.body, self.decisions, form, ends, expr)

    def other(self, expr: ast.Expr) -> Quantity:
        """Nothing else is a quantity."""
        name = expr.id if isinstance(expr, ast.Name) else expr.span.text
        if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name):
            name = expr.func.id
        hint = suggest(name, QUANTITIES) or f"known: {', '.join(QUANTITIES)}"
        shown = expr.span.text if name in QUANTITIES else name
        raise ElaborationError(Code.QUANTITY, expr.span, f"'{shown}' is not a quantity", hint)


def _computed(op: str, left: Quantity, right: Quantity, span: Span) -> Quantity:
    """Arithmetic, folded where both sides are plain numbers; refused where it divides by zero."""
    try:
        match left, right:
            case Constant(value=a), Constant(value=b):
                return Constant(tidy(BINARY[op](a, b)))
            case _, Constant(value=0) if op in DIVISIONS:
                raise ZeroDivisionError
        return Arithmetic(op, left, right)
    except ArithmeticError as error:
        raise ElaborationError(Code.RANGE, span, f"'{op}' has no value here: {reason(error)}") from None


def _lacks_argument(name: str, span: Span) -> ElaborationError:
    form = f"{name}{QUANTITIES[name].argument.value}"
    return ElaborationError(Code.QUANTITY, span, f"'{name}' needs an argument", f"write `{form}`")
