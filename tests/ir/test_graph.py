"""The space graph: its networkx graph as the documentation reads it, and the lists beside it."""

from __future__ import annotations

import doctest

from compiler.backend.passes import PASSES, run_passes
from compiler.ir import graph
from tests.support.programs import space


def test_the_example_of_the_documentation() -> None:
    found = doctest.testmod(graph)
    assert found.attempted >= 6
    assert not found.failed


def test_lists_and_networkx_agree() -> None:
    """Order, sources and readers are those of the networkx graph, before and after every pass."""
    given = space("darts.hsp", c=8, cells=3, size=16).block.graph
    for passes in ((), PASSES[:1], PASSES):
        made = run_passes(given, passes)
        assert [index for index, _ in made.order()] == sorted(made.nx)
        for index, node in made.order():
            assert made.nx.nodes[index]["node"] is node
            edges = sorted((slot, source) for source, _, slot in made.nx.in_edges(index, keys=True))
            assert made.sources(index) == tuple(source for _, source in edges)
            assert list(made.readers(index)) == sorted(reader for _, reader, _ in made.nx.out_edges(index, keys=True))
