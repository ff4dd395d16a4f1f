"""The space graph: its networkx graph as the documentation reads it, and what it is made of."""

from __future__ import annotations

import doctest
import subprocess
import sys

import networkx
import pytest

from compiler.backend.passes import PASSES, run_passes
from compiler.ir import graph
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input
from compiler.ir.shape import Shape
from tests.support.programs import SPACES, space


def test_the_example_of_the_documentation() -> None:
    found = doctest.testmod(graph)
    assert found.attempted >= 6
    assert not found.failed


def test_the_networkx_graph() -> None:
    """It has the order, sources and readers, before and after passes, and nobody writes to it."""
    given = space("darts.hsp", c=8, cells=3, size=16).block.graph
    for passes in ((), PASSES[:1], PASSES):
        made = run_passes(given, passes)
        assert [index for index, _ in made.order()] == sorted(made.nx)
        for index, node in made.order():
            assert made.nx.nodes[index]["node"] is node
            edges = sorted((slot, source) for source, _, slot in made.nx.in_edges(index, keys=True))
            assert made.sources(index) == tuple(source for _, source in edges)
            assert list(made.readers(index)) == sorted(reader for _, reader, _ in made.nx.out_edges(index, keys=True))


def test_the_networkx_graph_follows_and_is_read_only() -> None:
    made = SpaceGraph()
    source = made.add(Node("a", Input(0), Shape((3, 8, 8))))
    assert len(made.nx) == 1
    assert made.nx is made.nx
    reader = made.add(Node("b", Input(1), Shape((3, 8, 8))), (source, source))
    made.name_line(reader, "line")
    assert list(made.nx.edges(keys=True)) == [(0, 1, 0), (0, 1, 1)]
    assert made.nx.nodes[reader]["node"].line == "line"
    with pytest.raises(networkx.NetworkXError):
        made.nx.remove_node(source)


def test_compiling_does_not_import_networkx() -> None:
    code = (
        "import sys; from compiler.program.compile_file import compile_file\n"
        f"assert compile_file({str(SPACES / 'darts.hsp')!r})[0] is not None\n"
        "assert not {'networkx', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
