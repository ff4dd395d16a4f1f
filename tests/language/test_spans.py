"""Where nodes stand: identifiers and expressions, however a text is laid out, and the carets below them."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdas_dsl.parse.parser import parse_expression, parse_text
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from tests.support.layout import disturbed, expressions_of, uncommented
from tests.support.paths import FIXTURES, SPACES
from tests.support.strategies import modules

FILES = sorted([*(FIXTURES / "programs").rglob("*.hsp"), *(FIXTURES / "diff").glob("*.hsp"), *SPACES.rglob("*.hsp")])


def check_spans(module: ast.Module, source: random.Random, share: float) -> None:
    """The place of an identifier holds its name, and that of an expression a text that is the expression."""
    for node in module.walk():
        if isinstance(node, ast.Ident | ast.Name):
            name = node.name if isinstance(node, ast.Ident) else node.id
            assert node.span.text == name
            assert marked(node) == name
    for node in expressions_of(module):
        if source.random() < share:
            # In parentheses it may go on over lines, as it could where it stood.
            found, report = parse_expression(f"({node.span.text})")
            assert (found, report) == (node, [])


def marked(node: ast.Node) -> str:
    """What stands above the carets of a message about a node."""
    _, line, carets = Diagnostic(Code.SYNTAX, node.span, "message").render().split("\n")
    start = carets.index("^")
    assert carets == " " * start + "^" * (len(carets) - start)
    return line[start : len(carets)]


@settings(max_examples=60, deadline=None)
@given(modules(), st.integers(0, 2**32))
def test_random_modules(module: ast.Module, seed: int) -> None:
    source = random.Random(seed)
    plain = parse_text(print_module(module))
    again = parse_text(disturbed(plain, source))
    assert uncommented(again) == uncommented(plain)
    check_spans(again, source, 0.3)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".hsp"))
def test_files(path: object) -> None:
    assert isinstance(path, type(SPACES))
    source = random.Random(path.name)
    plain = parse_text(path.read_text())
    again = parse_text(disturbed(plain, source))
    assert uncommented(again) == uncommented(plain)
    check_spans(again, source, 0.1)
