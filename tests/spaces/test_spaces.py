"""The spaces of the field: their counts from the commands, published figures, and costs of random architectures."""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable, Iterator
from itertools import combinations, product
from pathlib import Path

import pytest

from compiler.analysis.costs.block_totals import Cost, Costs
from compiler.api import describe
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override
from compiler.reports.facts import cardinality
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from tests.laws.test_8_cost import check
from tests.reference.nasbench101 import Graph, Network
from tests.support.paths import DOCS
from tests.support.programs import SPACES, architecture, random_decisions

BINARY: dict[str, Callable[[int, int], int]] = {"+": operator.add, "*": operator.mul, "**": operator.pow}
PAGE = (DOCS / "spaces.md").read_text()


def number(formula: str | ast.Expr) -> int:
    """A whole number written as a formula, however large."""
    match parse_expression(formula)[0] if isinstance(formula, str) else formula:
        case ast.Number(value=int(value)):
            return value
        case ast.Binary(op=op, left=left, right=right):
            return BINARY[op](number(left), number(right))
    raise ValueError(formula)


def network(name: str, *overrides: str, phase: int = 0) -> Elaborated:
    """The network that a shipped file searches, in its first phase or another."""
    program, diagnostics = compile_file(SPACES / name, [read_override(text) for text in overrides])
    assert program is not None, [d.render() for d in diagnostics]
    return program.phases[phase].network


# ---------------------------------------------------------------- counts

ROWS = re.findall(r"^\| `spaces/(\S+)` \| (?:[^|]+) \| (?:[^|]+) \| `(.+)` \|$", PAGE, re.MULTILINE)
COMMANDS = re.findall(r"^\| `hdas-compile spaces/(\S+?)((?: --set \S+)+)` \| [^|]+ \| `(.+)` \|$", PAGE, re.MULTILINE)


def test_every_space_is_listed() -> None:
    assert {name for name, _ in ROWS} == {p.name for p in SPACES.glob("*.hsp") if not p.name.startswith("hdas_")}
    assert len(COMMANDS) > 3


@pytest.mark.parametrize(("name", "formula"), ROWS, ids=[name for name, _ in ROWS])
def test_counts(name: str, formula: str) -> None:
    is_last = name == "ofa_phases.hsp"  # whose earlier phases leave weights alone
    assert cardinality(network(name, phase=-1 if is_last else 0)) == number(formula)
    text = (SPACES / name).read_text()
    assert text.startswith("hsp 1\n# ")
    assert "\nsearch " in text


def test_a_description_counts() -> None:
    assert int(describe(SPACES / "nasbench201.hsp")["cardinality"]) == 5**6


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

    uses = 'use "nasbench201.hsp" as nb\nuse "hierarchical_nb201.hsp" with Cell = {}\n'
    text = f"hsp 1\n{uses}{{}}\nsearch Hierarchical {{{{}}}}\n"
    for cell, definition, one in (("nb.conv3", "", 1), ("Own", "choice Own = nb.Cell@fresh", 15_625)):
        program, _ = compile_file("grammar.hsp", text=text.format(cell, definition))
        assert program is not None
        assert cardinality(program.network) == ways(one)
    assert ways(1) == 75_549_915


# ---------------------------------------------------------------- published figures


def cost(found: Elaborated, chosen: Selection) -> Cost:
    return Costs().block(architecture(found, chosen)[1].block)


def cell_201(*items: int) -> Selection:
    """The items of the six edges of NAS-Bench-201, in source order."""
    edges = ("n0.from_x", "n1.from_x", "n1.from_n0", "n2.from_x", "n2.from_n0", "n2.from_n1")
    return {f"Cell.{edge}": (item,) for edge, item in zip(edges, items, strict=True)}


def cell_101(graph: Graph) -> Selection:
    """A cell of NAS-Bench-101; vertex v is node n[v - 1]."""
    chosen: Selection = {}
    for i in range(5):
        inner = i < len(graph.ops)
        into = graph.into(i + 1) if inner else []
        chosen[f"Cell.n{i}.from.in"] = tuple(into)
        chosen[f"Cell.n{i}.Op"] = (("conv3", "conv1", "pool3").index(graph.ops[i]) if inner else 0,)
    ends = graph.into(graph.last)
    return {
        **chosen,
        "Cell.out.in": tuple(v - 1 for v in ends if v),
        "Cell.short.in": (0,) if 0 in ends else (),
    }


def graph(ops: str, *edges: tuple[int, int]) -> Graph:
    return Graph(tuple(ops.split()), frozenset(edges))


LARGEST = graph(
    "conv3 conv3 conv3 conv3 conv3", *((v, v + 1) for v in range(6)), (0, 2), (0, 3), (0, 4)
)  # a chain, and the input projected for three more
SMALLEST = graph("pool3 pool3 pool3 pool3", (0, 1), *((1, v) for v in (2, 3, 4)), *((v, 5) for v in (1, 2, 3, 4)))
EXAMPLE = graph(
    "conv1 conv3 conv3 conv3 pool3",
    *((0, v) for v in (1, 2, 3, 5)),
    (3, 4),
    *((v, 6) for v in (1, 2, 4, 5)),
)  # the one that the data set's own introduction asks for
SINGLE = {
    ("nasbench201.hsp", "smallest"): cell_201(0, 0, 0, 0, 0, 0),
    ("nasbench201.hsp", "largest"): cell_201(3, 3, 3, 3, 3, 3),
    ("nasbench101.hsp", "smallest"): cell_101(SMALLEST),
    ("nasbench101.hsp", "largest"): cell_101(LARGEST),
    ("nasbench101.hsp", "example"): cell_101(EXAMPLE),
}
FIGURES = re.findall(r"^\| `spaces/(\S+)` \| (\w+) \| ([\d,]+) \| ([\d,]*) \| [^|]+ \|$", PAGE, re.MULTILINE)


def test_every_published_figure_is_shown() -> None:
    assert {(name, which) for name, which, _, _ in FIGURES} == SINGLE.keys()


@pytest.mark.parametrize(("name", "which", "params", "macs"), FIGURES)
def test_published_figures(name: str, which: str, params: str, macs: str) -> None:
    found = cost(network(name), SINGLE[name, which])
    assert found.params == int(params.replace(",", ""))
    assert not macs or found.macs == int(macs.replace(",", ""))


def test_extremes_of_benchmark_201() -> None:
    """Each edge adds its own cost, so that the extremes are those of one edge, six times."""
    found = network("nasbench201.hsp")
    nothing = cost(found, cell_201(0, 0, 0, 0, 0, 0))
    edges = [cost(found, cell_201(item, 0, 0, 0, 0, 0)) for item in range(5)]
    rest = random.Random(0)
    for _ in range(12):
        items = [rest.randrange(5) for _ in range(6)]
        for quantity in ("params", "macs"):
            of = operator.attrgetter(quantity)
            expected = of(nothing) + sum(of(edges[item]) - of(nothing) for item in items)
            assert of(cost(found, cell_201(*items))) == expected
    params, macs = operator.attrgetter("params"), operator.attrgetter("macs")
    assert min(edges, key=params) == nothing
    assert max(range(5), key=lambda item: params(edges[item])) == max(range(5), key=lambda item: macs(edges[item])) == 3


# ---------------------------------------------------------------- costs of random architectures

SMALL = {
    "autodeeplab.hsp": ("layers=3", "levels=2", "image=(3,33,33)"),
    "darts.hsp": ("cells=3",),
    "drnas.hsp": ("cells=3",),
    "p_darts.hsp": ("cells=3",),
    "fair_darts.hsp": ("cells=3",),
    "hdas_cells.hsp": ("cells=3",),
    "hdas_cifar_joint.hsp": ("stages=2", "cells=1"),
    "hdas_digits_joint.hsp": ("stages=2", "cells=1"),
    "hdas_digits_trained.hsp": ("stages=2", "cells=1"),
    "hdas_dist.hsp": ("stages=1",),
    "hdas_imagenet.hsp": ("stages=2", "cells=2"),
    "hdas_stages.hsp": ("stages=1",),
    "nasbench101.hsp": ("cells=2",),
    "nasbench201.hsp": ("n=2",),
    **{f"robustdarts_s{number}.hsp": ("cells=3",) for number in (1, 2, 3, 4)},
}


def architectures(found: Elaborated) -> Iterator[Elaborated]:
    """Random ones; decisions that leave nothing of a cell are none."""
    for seed in range(1000):
        try:
            yield architecture(found, random_decisions(found, seed))[1]
        except HspError:
            assert "nasbench101" in found.root.definition.span.source.name


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in SPACES.glob("*.hsp")))
def test_costs(name: str) -> None:
    """Law 8 on 100 architectures: what is computed on the graph is what hooks on the torch module count."""
    made = architectures(network(name, *SMALL.get(name, ())))
    for _ in range(2 if name.startswith("hdas_") else 4):
        check(next(made))


# ---------------------------------------------------------------- widths of NAS-Bench-101


def cells_101(seed: int) -> Graph:
    """A cell in which every vertex lies between input and output."""
    source = random.Random(seed)
    while True:
        size = source.randrange(0, 6)
        pairs = list(combinations(range(size + 2), 2))
        edges = frozenset(source.sample(pairs, source.randint(1, min(9, len(pairs)))))
        found = Graph(tuple(source.choices(("conv3", "conv1", "pool3"), k=size)), edges)
        ahead, back = {0}, {found.last}
        for a, b in sorted(edges):
            ahead |= {b} if a in ahead else set()
        for a, b in sorted(edges, reverse=True):
            back |= {a} if b in back else set()
        if len(ahead) == len(back) == size + 2:
            return found


@pytest.mark.parametrize("seed", range(20))
def test_benchmark_101_against_a_plain_construction(seed: int) -> None:
    """The channels of every vertex, solved backwards, also where they do not divide."""
    found = network("nasbench101.hsp", "c=23", "stacks=2", "cells=1")
    cell = cells_101(seed)
    expected = sum(p.numel() for p in Network(cell, 23, 2, 1).parameters())
    assert cost(found, cell_101(cell)).params == expected


FEW_CELLS = [
    *(("darts.hsp", {"cells": cells}) for cells in (1, 2, 3, 4)),
    *(("hdas_cells.hsp", {"cells": c, "stages": stages}) for c, stages in ((1, 3), (2, 5), (3, 4), (4, 3))),
]


@pytest.mark.parametrize(("name", "sizes"), FEW_CELLS, ids=[f"{name} {sizes}" for name, sizes in FEW_CELLS])
def test_a_small_network_doubles_the_width_as_often_as_it_halves_the_resolution(
    name: str, sizes: dict[str, int]
) -> None:
    """As in the released programs, whose reductions are at a set of places: two that coincide are one."""
    program, _ = compile_file(SPACES / name, [read_override(f"{n}={v}") for n, v in {"c": 2, **sizes}.items()])
    assert program is not None
    nodes = [node for _, node in program.network.block.graph.order() if (node.line or "").startswith("k")]
    assert len(nodes) == sizes["cells"]
    assert {node.shape.largest[0] * node.shape.largest[1] for node in nodes} == {4 * 2 * 32}


def test_the_zoo_builds_the_networks_of_its_spaces() -> None:
    def network(path: Path) -> list[str]:
        text = path.read_text()
        start = text.index("network ")
        return text[start : text.index("\n}\n", start)].splitlines()[1:]

    known = [network(SPACES / "darts.hsp"), network(SPACES / "hdas_cells.hsp")]
    others = {path.stem for path in SPACES.glob("zoo/*.hsp") if network(path) not in known}
    assert all(name.startswith(("hdas_s_", "darts_rnn_")) for name in others), others
