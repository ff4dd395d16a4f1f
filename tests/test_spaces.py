"""The spaces of the field: their counts from the commands, published figures, and costs of random architectures."""

from __future__ import annotations

import operator
import re
from itertools import product
from pathlib import Path

import pytest
from programs import SPACES

from compiler.api import describe
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.program import compile_file, read_override
from compiler.report import cardinality
from hdas_dsl import ast
from hdas_dsl.parser import parse_expression
from hdas_dsl.printer import print_module

BINARY = {"+": operator.add, "*": operator.mul, "**": operator.pow}
DOCS = (Path(__file__).parent.parent / "docs/spaces.md").read_text()


def number(formula: str | ast.Expr) -> int:
    """A whole number written as a formula, however large."""
    match parse_expression(formula)[0] if isinstance(formula, str) else formula:
        case ast.Number(value=int(value)):
            return value
        case ast.Binary(op=op, left=left, right=right):
            return BINARY[op](number(left), number(right))
    raise ValueError(formula)


def network(name: str, *overrides: str) -> Elaborated:
    """The network that a shipped file searches."""
    program, diagnostics = compile_file(SPACES / name, [read_override(text) for text in overrides])
    assert program is not None, [d.render() for d in diagnostics]
    return program.network


# ---------------------------------------------------------------- counts

ROWS = re.findall(r"^\| `spaces/(\S+)` \| (?:[^|]+) \| (?:[^|]+) \| `(.+)` \|$", DOCS, re.MULTILINE)
COMMANDS = re.findall(r"^\| `hdas-compile spaces/(\S+?)((?: --set \S+)+)` \| [^|]+ \| `(.+)` \|$", DOCS, re.MULTILINE)


def test_every_space_is_listed() -> None:
    assert {name for name, _ in ROWS} == {p.name for p in SPACES.glob("*.hsp") if not p.name.startswith("hdas_")}
    assert len(COMMANDS) > 3


@pytest.mark.parametrize(("name", "formula"), ROWS, ids=[name for name, _ in ROWS])
def test_counts(name: str, formula: str) -> None:
    facts = describe(SPACES / name)
    assert int(facts["cardinality"]) == number(formula)
    text = (SPACES / name).read_text()
    assert text.startswith("hsp 1\n# ")
    assert "\nsearch " in text


@pytest.mark.parametrize(("name", "settings", "formula"), COMMANDS)
def test_variants(name: str, settings: str, formula: str) -> None:
    found = network(name, *settings.split(" --set ")[1:])
    assert cardinality(found) == number(formula)


def test_trees_by_enumeration() -> None:
    """Every way to decide, derived: as many texts as are counted."""
    found = network("tree.hsp", "depth=1")
    ways = product(*(range(len(decision.items)) for decision in found.decisions.values()))
    texts = {
        print_module(derive_module(found, dict(zip(found.decisions, ((i,) for i in way), strict=True)))) for way in ways
    }
    assert len(texts) == cardinality(found) == 22


def test_grammar_with_fresh_cells() -> None:
    """Productions multiply over their mentions; a cell of its own is another factor each time."""

    def ways(cell: int) -> int:
        down = 1
        c = cell**2 + cell**3 + cell**3
        d = cell * down + cell**2 * down + cell * down * down
        d0 = c**2 * cell + c**3 * cell + c**2 * cell * cell
        d1 = c**2 * d + c**3 * d + c**2 * d * d
        return d1**2 * d0 + d0 * d1**2 + d1**2 * d0**2

    text = 'hsp 1\nuse "nasbench201.hsp" as nb\nuse "hierarchical_nb201.hsp" with Cell = {}\n{}\nsearch Hierarchical {{\n}}\n'
    for cell, definition, one in (("nb.conv3", "", 1), ("Own", "choice Own = nb.Cell@fresh", 15_625)):
        program, _ = compile_file("grammar.hsp", text=text.format(cell, definition))
        assert program is not None
        assert cardinality(program.network) == ways(one)
    assert ways(1) == 75_549_915
