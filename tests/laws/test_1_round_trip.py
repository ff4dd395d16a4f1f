"""The canonical form: a round trip through text loses nothing, and formatting twice changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings

from hdas_dsl.format import format_text
from hdas_dsl.parse.parser import parse_expression, parse_text
from hdas_dsl.text.diagnostics import Code, HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import WIDTH, print_expression, print_module
from tests.support.golden import check
from tests.support.paths import FIXTURES
from tests.support.strategies import expressions, modules

HERE = FIXTURES
PROGRAMS = sorted((HERE / "programs").rglob("*.hsp"))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_round_trip(path: Path) -> None:
    text = path.read_text()
    formatted = format_text(text)
    assert parse_text(formatted) == parse_text(text)
    assert format_text(formatted) == formatted
    assert max(map(len, formatted.splitlines())) <= WIDTH


@given(modules())
@settings(max_examples=200, deadline=None)
def test_random_modules_round_trip(module: ast.Module) -> None:
    text = print_module(module)
    again = parse_text(text)
    assert again == module
    assert print_module(again) == text


@given(expressions())
@settings(max_examples=300, deadline=None)
def test_random_expressions_round_trip(tree: ast.Expr) -> None:
    text = print_expression(tree)
    assert "\n" not in text
    assert parse_expression(text) == (tree, [])


def test_layout() -> None:
    """What the canonical form looks like, kept as a golden pair."""
    check(HERE / "programs" / "layout.txt", format_text((HERE / "programs" / "layout.hsp").read_text()))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_layout_does_not_depend_on_the_source(path: Path) -> None:
    formatted = format_text(path.read_text())
    broken = "\n".join(_broken(line) for line in formatted.splitlines())
    assert broken.count("\n") > formatted.count("\n")
    assert format_text(broken) == formatted


def _broken(line: str) -> str:
    """A line that goes on over as many lines as it can."""
    if "#" in line or '"' in line:
        return line
    for before in (" -> ", " | ", " + ", " * ", " where ", " then ", " if "):
        line = line.replace(before, f"\n{before}")
    for after in (", ", " = ", "(", "of ", " | "):
        line = line.replace(after, f"{after}\n")
    return line


@pytest.mark.parametrize(
    "text",
    [
        "(a + b) * c",
        "a - (b - c)",
        "(-a) ** b",
        "-a ** b",
        "(a ** b) ** c",
        "not (a and b)",
        "(not a) == b",
        "(a == b) == c",
        "(a -> f) + b",
        "a -> (f -> g)",
        "(a -> f) -> g",
        "(a + b) -> f",
        "(a | b) | c",
        "(if a then b else c) | d",
        "if a then b else c | d",
        "(a | b) -> f",
        "(last of a)[0]",
        "last (a | 1) of b",
        "pick a + 1 of b",
        "f@(i // 2)",
        "f@((a, b))",
        "(a if b) | c",
        "f(each (a -> f))",
        "a[b .. c]",
        "a[(b | c) .. d]",
        "(pick 1 of a).b",
        "(if a then b else c)()",
        "if (a | b) then c else d",
        "a if (b -> c)",
        "4.x",
        "f@1.x",
    ],
)
def test_parentheses_that_are_needed_stay_and_no_others(text: str) -> None:
    tree, _ = parse_expression(text)
    assert tree is not None
    assert print_expression(tree) == text


@pytest.mark.parametrize(
    ("text", "formatted"),
    [
        ("((a))+((b*c))", "a + b * c"),
        ("(f)(( a ))", "f(a)"),
        ("a->(f)", "a -> f"),
        ("f @ (i)", "f@i"),
        ("a[1..2]", "a[1 .. 2]"),
        ("(last 2 of (a)) -> f", "last 2 of a -> f"),
    ],
)
def test_parentheses_that_are_not_needed_go(text: str, formatted: str) -> None:
    tree, _ = parse_expression(text)
    assert tree is not None
    assert print_expression(tree) == formatted


def test_blank_lines() -> None:
    text = 'hsp 1\n\n\n\nuse "a"\nop f(x) = x\n# about F\ncell F(x) {\n\n  y = x\n\n\n  output y\n\n}\nop g(x) = x\n'
    assert format_text(text) == (
        'hsp 1\n\nuse "a"\nop f(x) = x\n\n# about F\ncell F(x) {\n  y = x\n\n  output y\n}\n\nop g(x) = x\n'
    )


def test_a_tree_that_is_too_deep_is_an_error() -> None:
    tree: ast.Expr = ast.Name("a")
    for _ in range(5_000):
        tree = ast.Binary("+", tree, ast.Name("a"))
    with pytest.raises(HspError) as caught:
        print_expression(tree)
    assert caught.value.diagnostics[0].code == Code.DEPTH
    with pytest.raises(HspError):
        print_module(ast.Module((ast.MenuDef(ast.Ident("A"), (), tree),)))
