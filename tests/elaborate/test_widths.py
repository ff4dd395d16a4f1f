"""Open widths: solved from those who read them, wherever they were left open."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.analysis.costs.block_totals import Costs
from compiler.backend.lowering.network import Network
from compiler.backend.passes.flatten import flatten
from compiler.ir.graph import Call
from compiler.ir.payloads import Prim
from tests.laws.test_8_cost import check
from tests.support.programs import space


def widths(*lines: str, ops: str = "") -> dict[str, int]:
    """The channels of every line of a network."""
    body = "\n".join(f"  {line}" for line in lines)
    found = space(f"hsp 1\n{ops}network N(x: [4, 6, 6]) {{\n{body}\n}}\n")
    check(found)
    image = torch.randn(2, 4, 6, 6)
    graph = found.block.graph
    assert graph.output is not None
    assert Network(found).eval()(image).shape == (2, *graph.node(graph.output).shape.dims)
    channels = {node.line: node.shape.c for _, node in graph.order() if node.line}
    numbers = {line: c for line, c in channels.items() if isinstance(c, int)}
    assert numbers == channels
    return numbers


@pytest.mark.parametrize("parts", range(1, 8))
@pytest.mark.parametrize("whole", [7, 12, 64])
def test_shares(parts: int, whole: int) -> None:
    """Equal, and the first ones one more; together the whole."""
    found = widths(f"n[i < {parts}] = conv(x, 1, open)", f"output concat(n, {whole})")
    shares = [found[f"n{i}"] for i in range(parts)]
    assert sum(shares) == whole
    assert shares == sorted(shares, reverse=True)
    assert shares[0] - shares[-1] <= 1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # A part of known width leaves the rest to the others.
        (("a = conv(x, 1, 5)", "b = conv(x, 1, open)", "output concat(a, b, 12)"), {"b": 7}),
        # A sum has one width, on whichever side it is known.
        (("a = conv(x, 1, open)", "b = conv(x, 1, 9)", "output a + b"), {"a": 9}),
        (("a = conv(x, 1, 9)", "b = conv(x, 1, open)", "output a + b"), {"b": 9}),
        (
            ("a = conv(x, 1, open)", "b = conv(x, 1, open)", "c = a + b", "output concat(c, 6)"),
            {"a": 6, "b": 6, "c": 6},
        ),
        # As wide as the widest that is cut from it, through any number of cuts and operations.
        (("a = conv(x, 1, open)", "output cut(a, 3) -> conv(1, 5)"), {"a": 3}),
        (("a = conv(x, 1, open)", "b = cut(a, 3)", "c = cut(a, 8)", "output concat(b, c)"), {"a": 8}),
        (
            ("a = conv(x, 1, open)", "b = cut(a) -> conv(3)", "c = cut(b) -> relu", "output concat(c, 7)"),
            {"a": 7, "b": 7},
        ),
        # The whole may be open as well.
        (("a = conv(x, 1, open)", "b = concat(a, x)", "output concat(a, 6) + cut(b, 6)"), {"a": 6, "b": 10}),
        # One `open` bound to a name is one width.
        (("w = open", "a = conv(x, 1, w)", "b = conv(x, 3, w)", "output concat(a, b, 8)"), {"a": 4, "b": 4}),
    ],
)
def test_rules(lines: tuple[str, ...], expected: dict[str, int]) -> None:
    found = widths(*lines)
    assert {name: found[name] for name in expected} == expected


def test_each_application_of_an_operation_has_widths_of_its_own() -> None:
    ops = "op thin(x) = cut(x) -> conv(1)\nop wide(x) = conv(x, 1, open)\n"
    found = widths(
        "a = conv(x, 1, 12)",
        "b = thin(a)",
        "c = thin(a)",
        "d = wide(x)",
        "e = wide(x)",
        "output concat(concat(b, 5), concat(c, 7), concat(d, 2), concat(e, 3))",
        ops=ops,
    )
    assert [found[name] for name in "bcde"] == [5, 7, 2, 3]


def test_widths_go_through_cells_and_come_out_of_them() -> None:
    """Each instance of a cell that leaves its width to its caller may have another one."""
    text = """hsp 1
cell Open(x) { output conv(x, 1, open) -> batch_norm -> relu }
cell Reads(x) { output x -> conv(3) }
network N(x: [4, 6, 6]) {
  a = Open(x) -> Reads
  b = Open(x)
  output concat(concat(a, x, 10), concat(b, 3))
}
"""
    found = space(text)
    check(found)
    assert Costs().block(found.block).params == 4 * 6 + 2 * 6 + 9 * 6 * 6 + 4 * 3 + 2 * 3
    calls = [node.payload.block for _, node in found.block.graph.order() if isinstance(node.payload, Call)]
    outputs = [block.graph.node(end).shape.c for block in calls if (end := block.graph.output) is not None]
    assert outputs == [6, 6, 3]


def test_blocks_without_open_widths_stay_shared() -> None:
    text = """hsp 1
op unit(x; c = x.c) = x -> conv(3, c) -> batch_norm
network N(x: [4, 6, 6]) {
  a = unit(x)
  b = unit(a)
  c = unit(b, open)
  output concat(c, 6)
}
"""
    graph = space(text).block.graph
    a, b, c = (node.payload.block for _, node in graph.order() if isinstance(node.payload, Call))
    assert a is b
    assert c is not a
    assert c.arguments == (("c", "6"),)
    flat = flatten(graph)
    assert all(isinstance(dim, int) for _, node in flat.order() for dim in node.shape.dims)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_random_graphs(data: st.DataObject) -> None:
    """Nodes that feed the output share it; others are as wide as the widest of their readers, later ones first."""
    size = data.draw(st.integers(1, 6))
    whole = data.draw(st.integers(size, 40))
    ends = data.draw(st.lists(st.integers(0, size - 1), min_size=1, unique=True).map(sorted))
    reads = [data.draw(st.lists(st.integers(0, j - 1), unique=True)) if j else [] for j in range(size)]
    needed = set(ends)
    for j in reversed(range(size)):
        needed |= set(reads[j]) if j in needed else set()
    lines = []
    for j in sorted(needed):
        terms = ["conv(x, 1, open)", *(f"cut(n{i})" for i in sorted(reads[j]))]
        lines.append(f"n{j} = ({' + '.join(terms)}) -> relu -> conv(1)")
    found = widths(*lines, f"output concat({', '.join(f'n{j}' for j in ends)}, {whole})")
    expected: dict[int, int] = {}
    for position, j in enumerate(ends):
        expected[j] = whole // len(ends) + (position < whole % len(ends))
    for j in sorted(needed - set(ends), reverse=True):
        expected[j] = max(expected[r] for r in needed if j in reads[r])
    assert {f"n{j}": c for j, c in expected.items()} == {name: c for name, c in found.items() if name.startswith("n")}


def test_an_external_operation_of_equal_shapes_is_made_for_each_variant() -> None:
    """What is made once for equal arguments: a norm of a relaxed cell is another one than that of a discrete cell."""
    found = space(
        """hsp 1
op norm(x; affine = not relaxed) = external "hsp:batch_norm"
cell Searched(x) {
  output x -> norm -> (identity | relu)
}
cell Fixed(x) {
  output x -> norm
}
network N(x: [4, 6, 6]) {
  output x -> Searched -> Fixed
}
"""
    )
    graphs = [copy.body.graph for copy in found.copies.values()]
    norms = [node.payload.op for graph in graphs for _, node in graph.order() if isinstance(node.payload, Prim)]
    assert [dict(op.attributes)["affine"] for op in norms if op.called == "batch_norm"] == [False, True]
