"""Conditions: read from the language, evaluated in three-valued logic, and what is derived from them."""

from __future__ import annotations

import math
import operator
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from compiler.elaborate import BodyElaboration
from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.quantities import read_condition
from compiler.elaborate.values import Value
from compiler.ir.conditions import (
    Values,
    evaluate,
    negated,
    senses,
    shortfall,
    totals,
    upper_bounds,
)
from compiler.ir.quantities import Condition, Number, Total
from compiler.program.compile_file import compile_file
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

BOUND: dict[str, Value] = {"most": 7, "half": 0.5, "wide": True, "narrow": False, "word": "text", "macs_": 3}
NAMES = ("params", "macs", "edges", "count(Op)")


def text() -> BodyElaboration:
    """The text of a network that binds some names."""
    program, diagnostics = compile_file("n.hsp", text="hsp 1\nnetwork N(x: [1, 8, 8]) {\n  output relu(x)\n}\n")
    assert program is not None, diagnostics
    root = program.network.root.body
    return replace(root, bindings={**root.bindings, **BOUND})


TEXT = text()


def parsed(written: str) -> ast.Expr:
    expr, diagnostics = parse_expression(written, "test")
    assert expr is not None, diagnostics
    return expr


def condition(written: str) -> Condition:
    return read_condition(parsed(written), TEXT)


# ---------------------------------------------------------------- random conditions

LEAVES = st.one_of(
    st.sampled_from([*NAMES, "params", "macs", "most", "half", "wide", "narrow"]),
    st.integers(0, 9).map(str),
    st.sampled_from(["word", "x.c", "loss", "min(params, 3)", "(2 in (1, 2))", "depth(n)", "0.25", "1K"]),
)


def compound(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    infix = ["+", "-", "*", "/", "//", "%", "<", "<=", ">", ">=", "==", "!=", "and", "or"]
    return st.one_of(
        st.builds("({} {} {})".format, part, st.sampled_from(infix), part),
        st.builds("({} ** {})".format, part, st.integers(0, 2)),
        st.builds("(not {})".format, part),
        st.builds("(-{})".format, part),
        st.builds("log({})".format, part),
    )


EXPRESSIONS = st.recursive(LEAVES, compound, max_leaves=7)
VALUES = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 12) | st.floats(0, 12), max_size=len(NAMES))
COMPLETE = st.fixed_dictionaries({name: st.integers(0, 12) | st.floats(0, 12) for name in NAMES})


def read(written: str) -> Condition:
    """The condition; discarded where arithmetic on its plain numbers has no value."""
    try:
        return condition(written)
    except ElaborationError:
        assume(False)
        raise


def values_of(known: dict[str, Number]) -> Values:
    return lambda total: known.get(str(total))


# ---------------------------------------------------------------- an independent reading of the syntax

OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def meaning(node: ast.Expr, known: dict[str, Number]) -> Number | None:
    """What an expression means, straight from its syntax; None where that is not known."""
    written = print_expression(node)
    if written in NAMES:
        return known.get(written)
    match node:
        case ast.Number():
            return node.value
        case ast.Name(id=name):
            found = BOUND.get(name)
            return found if isinstance(found, int | float) else None
        case ast.Unary(op=op, operand=operand):
            inner = meaning(operand, known)
            return None if inner is None else (not inner) if op == "not" else -inner
        case ast.Call(func=ast.Name(id="log"), args=(arg,)):
            inner = meaning(arg.value, known)
            return math.log(inner) if inner is not None and inner > 0 else None
        case ast.Binary(op="and" | "or" as op, left=left, right=right):
            sides = [meaning(left, known), meaning(right, known)]
            truths = [None if side is None else bool(side) for side in sides]
            decisive = op == "or"
            return decisive if decisive in truths else None if None in truths else not decisive
        case ast.Binary(op=op, left=left, right=right) if op in OPERATORS:
            a, b = meaning(left, known), meaning(right, known)
            try:
                return None if a is None or b is None else OPERATORS[op](a, b)
            except ArithmeticError:
                return None
    return None


def plain_errors(node: ast.Expr) -> bool:
    """Whether some part of plain numbers alone has no value, or a huge one, or something is divided by zero."""
    for part in node.walk():
        if isinstance(part, ast.Binary) and part.op in ("/", "//", "%") and meaning(part.right, {}) == 0:
            return True
        if isinstance(part, ast.Binary | ast.Unary) and not any(name in print_expression(part) for name in NAMES):
            found = meaning(part, {})
            if found is None or abs(found) >= 2**63:
                return True
    return False


QUICK = settings(max_examples=150, deadline=None)


@QUICK
@given(EXPRESSIONS, VALUES)
@example("(params / 0)", {})
def test_a_condition_means_what_it_says(written: str, known: dict[str, Number]) -> None:
    expr = parsed(written)
    expected = meaning(expr, known)
    if plain_errors(expr):
        with suppress(ElaborationError):
            read_condition(expr, TEXT)
        return
    assert evaluate(read_condition(expr, TEXT), values_of(known)) == (None if expected is None else bool(expected))


@QUICK
@given(EXPRESSIONS, COMPLETE, st.sets(st.sampled_from(NAMES)))
def test_to_know_more_changes_no_answer(written: str, known: dict[str, Number], hidden: set[str]) -> None:
    found = read(written)
    partly = evaluate(found, values_of({name: value for name, value in known.items() if name not in hidden}))
    assert partly in (None, evaluate(found, values_of(known)))


@QUICK
@given(EXPRESSIONS, VALUES)
def test_negation(written: str, known: dict[str, Number]) -> None:
    found = read(written)
    holds, turned = evaluate(found, values_of(known)), evaluate(negated(found), values_of(known))
    assert turned is (None if holds is None else not holds)
    assert negated(negated(found)) == found


@QUICK
@given(EXPRESSIONS, VALUES)
def test_the_shortfall_is_zero_exactly_where_a_condition_is_met(written: str, known: dict[str, Number]) -> None:
    found = read(written)
    missing = shortfall(found, values_of(known))
    match evaluate(found, values_of(known)):
        case None:
            assert missing is None
        case True:
            assert missing == 0
        case False:
            assert missing is not None
            assert missing > 0


@QUICK
@given(EXPRESSIONS, COMPLETE)
def test_upper_bounds_hold_wherever_a_condition_is_met(written: str, known: dict[str, Number]) -> None:
    found = read(written)
    if evaluate(found, values_of(known)):
        for bound in upper_bounds(found):
            assert bound.sense * known[str(bound.total)] <= bound.limit


@QUICK
@given(EXPRESSIONS, COMPLETE, st.sampled_from(NAMES), st.integers(-12, 12))
def test_senses(written: str, known: dict[str, Number], name: str, change: int) -> None:
    """A change against the only sense in which a total helps never makes a condition true."""
    found = read(written)
    total = next((total for total in totals(found) if str(total) == name), Total("memory"))
    other = {**known, name: max(known[name] + change, 0)}
    ways = {sense for part, sense in senses(found) if part == total}
    if len(ways) == 2:
        return
    sense = next(iter(ways), 0)
    before, after = evaluate(found, values_of(known)), evaluate(found, values_of(other))
    if sense * (other[name] - known[name]) >= 0 or sense == 0:
        assert not (before is False and after is True)
    if sense * (other[name] - known[name]) <= 0 or sense == 0:
        assert not (before is True and after is False)


# ---------------------------------------------------------------- by hand


def known_bounds(written: str) -> list[tuple[str, int, float]]:
    return [(str(bound.total), bound.sense, bound.limit) for bound in upper_bounds(condition(written))]


@pytest.mark.parametrize(
    ("written", "bounds"),
    [
        ("params <= 100", [("params", 1, 100)]),
        ("100 > params", [("params", 1, 100)]),
        ("5 < params", [("params", -1, -5)]),
        ("params >= most * 2", [("params", -1, -14)]),
        ("not params > 2 * 50", [("params", 1, 100)]),
        ("macs == 5 and params < 3", [("macs", 1, 5), ("macs", -1, -5), ("params", 1, 3)]),
        ("not (macs > 5 or params > 3)", [("macs", 1, 5), ("params", 1, 3)]),
        ("macs <= 5 or params <= 3", []),
        ("macs + 1 <= 5", []),
        ("macs != 5", []),
    ],
)
def test_bounds(written: str, bounds: list[tuple[str, int, float]]) -> None:
    assert known_bounds(written) == bounds


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("params <= 5", {("params", 1)}),
        ("params > macs", {("params", -1), ("macs", 1)}),
        ("not (params / 2 - macs > 5)", {("params", 1), ("macs", -1)}),
        ("-3 * params <= macs * half", {("params", -1), ("macs", -1)}),
        ("params == 5", {("params", 1), ("params", -1)}),
        ("5 / params < 1", {("params", 1), ("params", -1)}),
        ("(params <= 5) + (macs > 5) >= 1", {("params", 1), ("macs", -1)}),
        ("(params <= 5) + 1 <= 1", {("params", -1)}),
        ("wide and edges < 3", {("edges", 1)}),
        ("x.c == 3", set()),
    ],
)
def test_senses_by_hand(written: str, found: set[tuple[str, int]]) -> None:
    assert {(str(total), sense) for total, sense in senses(condition(written))} == found


def test_plain_numbers_are_folded() -> None:
    assert evaluate(condition("true or params <= 5"), values_of({})) is True
    assert condition("params <= (most + 1) * 2 ** 3 - -1") == condition("params <= 65")
    assert condition("not (params <= 5 and not macs > 3)") == condition("params > 5 or macs > 3")


@pytest.mark.parametrize(
    ("written", "known", "expected"),
    [
        ("params <= 5 and macs <= 10", {"params": 10, "macs": 20}, 1 + 1),
        ("params <= 5 or macs <= 10", {"params": 10, "macs": 15}, 0.5),
        ("not params > 100", {"params": 150}, 0.5),
        ("params < 5", {"params": 5}, 1e-9 / 5),
        ("params >= 0.5", {"params": 0}, 0.5),
    ],
)
def test_how_far(written: str, known: dict[str, Number], expected: float) -> None:
    assert shortfall(condition(written), values_of(known)) == pytest.approx(expected)


@pytest.mark.parametrize("written", ["1 / 0 <= 5", "params <= 2 % (most - 7)", "macs > 10 ** 30", "(-1) ** 0.5 < 1"])
def test_plain_arithmetic_without_a_value_is_an_error_with_its_place(written: str) -> None:
    with pytest.raises(ElaborationError, match="has no value here") as caught:
        condition(written)
    assert caught.value.diagnostic.code is Code.RANGE
    assert caught.value.diagnostic.span.text in written


def test_a_quantity_without_its_argument_is_an_error_wherever_it_stands() -> None:
    with pytest.raises(ElaborationError, match="'latency' needs an argument"):
        condition("min(latency, 3) <= 5")
    assert evaluate(condition("min(count(Op), 3) <= 5"), values_of({"count(Op)": 1})) is None


@pytest.mark.parametrize("written", ["10 / edges <= 5", "log(edges) <= 5", "edges % edges == 0"])
def test_arithmetic_on_quantities_may_have_no_value(written: str) -> None:
    assert evaluate(condition(written), values_of({"edges": 0})) is None
    assert evaluate(condition(written), values_of({"edges": 4})) is True
