"""The structural difference of two files: golden pairs in ``tests/fixtures/diff/`` and its laws."""

from __future__ import annotations

import cProfile
import json
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdas_dsl.diff.differ import Diff, diff
from hdas_dsl.diff.model import Change, Kind
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.tree.ast import Binary, Call, Comment, Module, Node, Number, Provenance, Unary
from hdas_dsl.tree.printer import print_module
from tests.support.golden import check
from tests.support.paths import ROOT
from tests.support.strategies import modules

PAIRS = sorted((ROOT / "tests/fixtures/diff").glob("*.left.hsp"))
OWN = sorted((ROOT / "tests/fixtures/diff").glob("*.hsp"))
FILES = [*OWN, *sorted((ROOT / "spaces").rglob("*.hsp"))]


def parse(path: Path) -> Module:
    return parse_text(path.read_text(), path.name)


def text(body: str) -> Module:
    return parse_text(f"hsp 1\n{body}", "<test>")


def cell(*lines: str) -> Module:
    return text("cell Cell(x, y; c) {\n" + "".join(f"  {line}\n" for line in lines) + "  output concat(n)\n}\n")


def reading(result: Diff) -> list[tuple[str, str, str | None, str | None]]:
    return [(change.path, change.kind.value, change.left, change.right) for change in result.changes]


@pytest.mark.parametrize("left", PAIRS, ids=lambda path: path.name.split(".")[0])
def test_golden(left: Path) -> None:
    name = left.name.split(".")[0]
    result = diff(parse(left), parse(left.with_name(f"{name}.right.hsp")))
    check(left.with_name(f"{name}.txt"), result.render())


ONE_LINE = {
    "operation": (
        "n0 = skip_connect(x) + conv(y)",
        "n0 = conv(y) + sep_conv(x)",
        [("Cell.n0.from_x", "operation", "skip_connect", "sep_conv")],
    ),
    "operation with its arguments": (
        "n0 = pool(x, stride = 2)",
        "n0 = conv(x, 3)",
        [("Cell.n0", "operation", "pool(stride = 2)", "conv(3)")],
    ),
    "operation with equal arguments": (
        "n0 = pool(x, stride = 2)",
        "n0 = conv(x, stride = 2)",
        [("Cell.n0", "operation", "pool", "conv")],
    ),
    "input": ("n0 = conv(x) + conv(y)", "n0 = conv(a) + conv(y)", [("Cell.n0", "input", "x", "a")]),
    "edge": ("n0 = pool(x)", "n0 = conv(y)", [("Cell.n0", "edge", "pool(x)", "conv(y)")]),
    "edge added": ("n0 = pool(x)", "n0 = conv(y) + pool(x)", [("Cell.n0.from_y", "edge", None, "conv(y)")]),
    "edge added to many": (
        "n0 = f(x) + f(y)",
        "n0 = f(x) + f(y) + f(y)",
        [("Cell.n0.from_y", "edge", None, "f(y)")],
    ),
    "the source counts before the operation": (
        "n0 = f(x) + g(y)",
        "n0 = g(x) + f(y)",
        [("Cell.n0.from_x", "operation", "f", "g"), ("Cell.n0.from_y", "operation", "g", "f")],
    ),
    "the operation counts before the rest": (
        "n0 = conv(x, 3) + conv(y, 5)",
        "n0 = conv(a, 5) + conv(b, 3)",
        [("Cell.n0", "input", "x", "b"), ("Cell.n0", "input", "y", "a")],
    ),
    "identity": ("n0 = x + f(y)", "n0 = f(y) + g(x)", [("Cell.n0.from_x", "operation", None, "g")]),
    "named argument": ("n0 = x -> f(k = 3, e = 6)", "n0 = x -> f(e = 6, k = 5)", [("Cell.n0.k", "argument", "3", "5")]),
    "positional argument": ("n0 = f(x, 3)", "n0 = f(x, 5)", [("Cell.n0.arg2", "argument", "3", "5")]),
    "argument of a pipe": ("n0 = x -> f(3)", "n0 = x -> f(5)", [("Cell.n0.arg1", "argument", "3", "5")]),
    "argument added": ("n0 = f(x)", "n0 = f(x, s = 2)", [("Cell.n0.s", "argument", None, "2")]),
    "argument of an edge": (
        "n0 = f(x, s = 1) + f(y)",
        "n0 = f(y) + f(x, s = 2)",
        [("Cell.n0.from_x.s", "argument", "1", "2")],
    ),
    "stage of a pipe": ("n0 = x -> f -> g(3)", "n0 = x -> h -> g(3)", [("Cell.n0", "operation", "f", "h")]),
    "stage added": ("n0 = x -> f -> g", "n0 = x -> f -> h -> g", [("Cell.n0", "operation", None, "h")]),
    "second of its name": (
        "n0 = x -> f(1) -> g -> f(2)",
        "n0 = x -> f(1) -> g -> f(3)",
        [("Cell.n0.f_2.arg1", "argument", "2", "3")],
    ),
    "input and stage": (
        "n0 = x -> f -> g",
        "n0 = y -> f -> h",
        [("Cell.n0", "input", "x", "y"), ("Cell.n0", "operation", "g", "h")],
    ),
    "applied to nothing": ("n0 = x -> f", "n0 = x -> f()", [("Cell.n0", "operation", "f", "f()")]),
    "inside": ("n0 = f(g(x, 3))", "n0 = f(g(x, 5))", [("Cell.n0.arg2", "argument", "3", "5")]),
    "inside sum": (
        "n0 = sum(f(x), g(y))",
        "n0 = sum(g(y), h(x))",
        [("Cell.n0.from_x", "operation", "f", "h")],
    ),
    "below a sum": ("n0 = f(g(x) + h(y))", "n0 = f(h(y) + k(x))", [("Cell.n0.from_x", "operation", "g", "k")]),
    "form": ("n0 = x -> f", "n0 = f(x)", [("Cell.n0", "value", "x -> f", "f(x)")]),
    "concat has an order": ("n0 = concat(x, y)", "n0 = concat(y, x)", [("Cell.n0", "order", "x, y", "y, x")]),
    "alternatives have an order": ("n0 = x -> (f | g)", "n0 = x -> (g | f)", [("Cell.n0", "order", "f, g", "g, f")]),
    "concat without one": ("n0 = concat(x, y, a)", "n0 = concat(x, a)", [("Cell.n0", "input", "y", None)]),
    "where": (
        "n0 = f(m) where m = g(x) + h(y)",
        "n0 = f(m) where m = g(x) + k(y)",
        [("Cell.n0.m.from_y", "operation", "h", "k")],
    ),
    "then": (
        "n0 = if c > 1 then f(x) else g(x)",
        "n0 = if c > 1 then h(x) else g(x)",
        [("Cell.n0.then", "operation", "f", "h")],
    ),
    "number": ("n0 = c * 2 ** 3", "n0 = c * 2 ** 4", [("Cell.n0", "value", "c * 2 ** 3", "c * 2 ** 4")]),
    "pick": ("n0 = sum(pick 2 of M(each y))", "n0 = sum(pick 3 of M(each y))", [("Cell.n0.pick", "value", "2", "3")]),
    "alternative": ("n0 = x -> f(3 | 5)", "n0 = x -> f(3 | 5 | 7)", [("Cell.n0.arg1", "alternative", None, "7")]),
    "size": ("n[i < 4] = f(x)", "n[i < 5] = f(x)", [("Cell.n", "size", "4", "5")]),
    "line": ("m = f(x)", "k = f(x)", [("Cell.m", "line", "m = f(x)", None), ("Cell.k", "line", None, "k = f(x)")]),
}  # fmt: skip


@pytest.mark.parametrize("case", ONE_LINE)
def test_one_line(case: str) -> None:
    left, right, expected = ONE_LINE[case]
    assert reading(diff(cell(left), cell(right))) == expected


SAME = [
    ("n0 = f(x) + g(y) + h(x)", "n0 = h(x) + (g(y) + f(x))"),
    ("n0 = sum(f(x), g(y))", "n0 = sum(g(y), f(x))"),
    ("n0 = f(n[2]) + g(h[3, 1])", "n0 = g(h3_1) + f(n2)"),
    ("n0 = f(x, s = 1, k = 3)", "n0 = f(x, k = 3, s = 1)  # comment"),
    ("n0 = f(c = 4000)", "n0 = f(c = 4K)"),
    ("n0 = f(x) where a = 1, b = 2", "n0 = f(x) where b = 2, a = 1"),
]


@pytest.mark.parametrize(("left", "right"), SAME)
def test_same(left: str, right: str) -> None:
    assert diff(cell(left), cell(right)).same


def test_family_elements_are_one_change() -> None:
    left = cell("s0 = Cell(x, c)", "s1 = Cell(s0, c)", "s2 = Cell(s1, c)", "s3 = Cell(s2, c)")
    right = cell("s0 = Cell(x, c)", "s1 = Cell(s0, c)")
    result = diff(left, right)
    assert reading(result) == [("Cell.s", "family", "4 cells", "2 cells")]
    assert result.changes[0].note == "s2, s3 only in the left file"
    assert len(diff(right, left).changes) == 1


def test_elements_on_both_sides_are_lines() -> None:
    result = diff(cell("n0 = f(x)", "n1 = f(x)"), cell("n0 = f(x)", "n2 = f(x)"))
    assert [change.path for change in result.changes] == ["Cell.n1", "Cell.n2"]


def test_edges_that_agree() -> None:
    left = cell("n0 = f(x) + g(y)", "n1 = f(x) + g(n0)", "k = c * 2", "m = f(x)")
    right = cell("n0 = f(x) + f(y)", "n1 = g(n0) + f(x)", "k = c * 3")
    result = diff(left, right)
    assert (result.agreeing, result.edges, result.similarity) == (3, 5, 0.6)
    assert result.summary() == "1 operation, 1 line, 1 value differ; 3 of 5 edges agree"


def test_json() -> None:
    result = json.loads(diff(cell("n0 = f(x)"), cell("n0 = g(x)")).to_json())
    assert result == {
        "same": False,
        "edges": {"agree": 0, "total": 1},
        "changes": [{"path": "Cell.n0", "kind": "operation", "left": "f", "right": "g", "note": ""}],
    }


def test_colours_are_the_same_words() -> None:
    long = " -> ".join(["x", *(f"f{i}" for i in range(60))])
    for left, right in [(cell(f"n0 = {long}"), cell("n0 = g(x)")), (cell("n0 = f(x)"), cell("n0 = f(x)"))]:
        result = diff(left, right)
        coloured = result.render(colour=True)
        assert "\x1b[" in coloured
        assert "".join(part.split("m", 1)[-1] for part in ("m" + coloured).split("\x1b[")) == result.render()


def test_markup_is_text() -> None:
    result = diff(cell("n0 = f(x[1 .. 2])"), cell("n0 = f(x[bold])"))
    assert "x[bold]" in result.render(colour=True)


@pytest.mark.parametrize(("joint", "count"), [(" + ", 80), (" -> ", 400)])
def test_long_lines(joint: str, count: int) -> None:
    """One change each, in order, however many there are."""
    left = cell("n0 = " + joint.join(f"f{i}(x{i})" for i in range(count)))
    right = cell("n0 = " + joint.join(f"g{i}(x{i})" for i in range(count)))
    assert [(c.left, c.right) for c in diff(left, right).changes[1:]] == [(f"f{i}", f"g{i}") for i in range(1, count)]


DEEP = {
    "f(x, {})": 45,
    "(x -> {})": 90,
    "(1 * {})": 90,
    "(if c then x else {})": 90,
    "f({})": 45,
    "(x -> (f + {}))": 30,
}


@pytest.mark.parametrize("wrap", DEEP)
def test_deep_lines(wrap: str) -> None:
    """No text that parses is too deep."""
    left, right = "f(x)", "f(y)"
    for _ in range(DEEP[wrap]):
        left, right = wrap.format(left), wrap.format(right)
    result = diff(cell(f"n0 = {left}"), cell(f"n0 = {right}"))
    assert len(result.changes) == 1


def test_version() -> None:
    tree = cell("n0 = f(x)")
    assert reading(diff(tree, replace(tree, version=2))) == [("hsp", "version", "1", "2")]


def test_values() -> None:
    change = Change("a.b", Kind.VALUE, "1", "2")
    assert change == Change("a.b", Kind.VALUE, "1", "2")
    assert len({change, change}) == 1
    assert Diff(()).same
    assert Diff(()).similarity == 1


def test_imports_little() -> None:
    code = "import sys, hdas_dsl.diff.differ; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert not {"rich", "torch", "networkx", "compiler"} & set(loaded.split())


# ---------------------------------------------------------------- laws


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_difference_to_itself(path: Path) -> None:
    tree = parse(path)
    assert diff(tree, tree).changes == ()
    assert diff(parse_text(print_module(tree), "printed"), tree).changes == ()


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: path.name.split(".")[0])
def test_symmetric(path: Path) -> None:
    left, right = parse(path), parse(path.with_name(path.name.replace("left", "right")))
    there, back = diff(left, right), diff(right, left)
    assert len(there.changes) == len(back.changes)
    assert (there.agreeing, there.edges) == (back.agreeing, back.edges)


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_every_mutation_is_seen(path: Path) -> None:
    tree = parse(path)
    for mutant in mutants(tree):
        there = diff(tree, mutant)
        assert not there.same
        assert len(there.changes) == len(diff(mutant, tree).changes)


@settings(max_examples=50, deadline=None)
@given(modules(), modules(), st.randoms(use_true_random=False))
def test_laws_on_random_modules(tree: Module, other: Module, rng: random.Random) -> None:
    assert diff(tree, tree).same
    assert diff(parse_text(print_module(tree)), tree).same
    moved = shuffled(tree, rng)
    assert isinstance(moved, Module)
    there, back = diff(moved, other), diff(other, moved)
    assert len(there.changes) == len(back.changes)
    assert (there.agreeing, there.edges) == (back.agreeing, back.edges)
    for mutant in mutants(tree):
        if rng.random() < 0.2:
            assert not diff(tree, mutant).same
            assert len(diff(tree, mutant).changes) == len(diff(mutant, tree).changes)


def with_fields(node: Node, changes: Mapping[str, Any]) -> Node:
    """A copy of a node with other values of fields that only their names tell."""
    return replace(node, **changes)


def shuffled(value: object, rng: random.Random) -> object:
    """The same tree with its sums and definitions in another order and without comments."""
    if isinstance(value, tuple):
        return tuple(shuffled(item, rng) for item in value if not isinstance(item, Comment | Provenance))
    if not isinstance(value, Node):
        return value
    node = with_fields(value, {item.name: shuffled(getattr(value, item.name), rng) for item in fields(value)})
    if isinstance(node, Binary) and node.op == "+" and rng.random() < 0.5:
        return replace(node, left=node.right, right=node.left)
    if isinstance(node, Call) and any(arg.name for arg in node.args):
        named = [arg for arg in node.args if arg.name]
        return replace(node, args=(*(arg for arg in node.args if not arg.name), *rng.sample(named, len(named))))
    if isinstance(node, Module):
        return replace(node, lines=tuple(rng.sample(node.lines, len(node.lines))))
    return node


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FILES), st.sampled_from(FILES), st.randoms(use_true_random=False))
def test_order_means_nothing(one: Path, other: Path, rng: random.Random) -> None:
    left, right = parse(one), parse(other)
    moved = shuffled(left, rng)
    assert isinstance(moved, Module)
    assert diff(left, moved).same
    found, expected = diff(moved, right), diff(left, right)
    assert sorted((c.path, c.kind.value, c.note) for c in found.changes) == sorted(
        (c.path, c.kind.value, c.note) for c in expected.changes
    )
    assert (found.agreeing, found.edges) == (expected.agreeing, expected.edges)
    assert len(diff(right, moved).changes) == len(expected.changes)


REMOVABLE = {"lines", "args", "params", "inputs", "where", "settings", "replace"}
OPTIONAL = {"default", "guard", "weight", "alias", "count", "shape"}


def mutants(tree: Node) -> Iterator[Module]:
    """All trees that differ from this one in one name, number, operator or missing part that counts."""
    for mutant in _mutants(tree):
        assert isinstance(mutant, Module)
        yield mutant


def _mutants(node: Node) -> Iterator[Node]:
    for item in fields(node):
        if item.name in {"span", "note", "gap"}:
            continue
        value = getattr(node, item.name)
        for mutant in _values(node, item.name, value):
            yield with_fields(node, {item.name: mutant})


def _values(owner: Node, name: str, value: object) -> Iterator[object]:
    if isinstance(value, Comment | Provenance):
        return
    if name in OPTIONAL and value is not None:
        yield None
    if isinstance(value, Node):
        yield from _mutants(value)
    elif isinstance(value, tuple):
        for position, part in enumerate(value):
            for mutant in _values(owner, "", part):
                yield (*value[:position], mutant, *value[position + 1 :])
            if name in REMOVABLE and not isinstance(part, Comment | Provenance):
                yield value[:position] + value[position + 1 :]
    elif isinstance(owner, Number):
        yield f"7{value}"
    elif isinstance(owner, Binary | Unary) and name == "op":
        yield ("or" if value == "and" else "and") if isinstance(owner, Binary) else ("not" if value == "-" else "-")
    elif isinstance(value, Enum):
        yield from (member for member in type(value) if member is not value)
    elif isinstance(value, str):
        yield f"{value}z"


def test_renamed_lines_take_time_in_proportion() -> None:
    """Each line of one side is missing on the other; work is counted in calls."""

    def calls(size: int) -> int:
        texts = [
            "hsp 1\nnetwork N(x: [3, 4, 4]) {\n"
            + "".join(f"  {name}{i} = relu({f'{name}{i - 1}' if i else 'x'})\n" for i in range(size))
            + f"  output {name}{size - 1}\n}}\n"
            for name in "ab"
        ]
        left, right = (parse_text(text, "grown.hsp") for text in texts)
        profile = cProfile.Profile()
        profile.runcall(diff, left, right)
        return sum(entry.callcount for entry in profile.getstats())

    assert calls(400) < 5 * calls(100)
