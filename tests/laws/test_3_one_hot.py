"""Law 3: a supernet with one-hot weights computes what the derived architecture does, weights copied.

Which tensor is whose is not read from names: the graph of the supernet, with its decisions made, must be the graph of
the derived text, primitive by primitive from the output back.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from compiler.backend.lowering.network import Network
from compiler.backend.passes.flatten import flatten
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import one_hot
from tests.support.programs import architecture, assert_same, floats, random_decisions, randomize, space
from tests.support.random_spaces import spaces


class Decided:
    """A flat graph with its decisions made: what weighs zero is not there, what weighs one stands for itself."""

    def __init__(self, graph: SpaceGraph, chosen: Selection) -> None:
        self.graph = flatten(graph)
        self.chosen = chosen

    def terms(self, index: int) -> list[int]:
        """The nodes whose sum a node is; sums of sums are one sum."""
        match self.graph.node(index).payload:
            case Prim(name="add"):
                return [term for source in self.graph.sources(index) for term in self.terms(source)]
            case Weigh(decision=path, index=position):
                return self.terms(self.graph.sources(index)[0]) if position in self.chosen[path] else []
            case Mix(decisions=paths, rows=rows):
                taken = tuple(self.chosen[path][0] for path in paths)
                (source,) = (s for s, row in zip(self.graph.sources(index), rows, strict=True) if taken in row)
                return self.terms(source)
        return [index]


def matched(wide: Decided, narrow: Decided) -> Iterator[tuple[str, str]]:
    """Pairs of names of the primitives of two decided graphs that must be equal."""
    assert wide.graph.output is not None
    assert narrow.graph.output is not None
    pending, seen = [(wide.graph.output, narrow.graph.output)], set()
    while pending:
        left, right = (decided.terms(end) for decided, end in zip((wide, narrow), pending.pop(), strict=True))
        assert len(left) == len(right)
        for pair in zip(left, right, strict=True):
            if pair in seen:
                continue
            seen.add(pair)
            a, b = wide.graph.node(pair[0]), narrow.graph.node(pair[1])
            assert type(a.payload) is type(b.payload), f"{a.name} is not {b.name}"
            if isinstance(a.payload, Input):
                assert a.payload == b.payload
                continue
            assert isinstance(a.payload, Prim)
            assert isinstance(b.payload, Prim)
            assert a.payload.name == b.payload.name, f"{a.name} is not {b.name}"
            there = (source for source in wide.graph.sources(pair[0]) if wide.terms(source))  # under `prune`
            pending += zip(there, narrow.graph.sources(pair[1]), strict=True)
            yield a.name, b.name


def copy(supernet: nn.Module, network: nn.Module, pairs: dict[str, str]) -> None:
    """Copy what the primitives of the network hold; of a tensor of undecided width, the first channels."""
    theirs = dict(floats([*supernet.named_parameters(), *supernet.named_buffers()]))
    for name, tensor in floats([*network.named_parameters(), *network.named_buffers()]):
        place, rest = name, ""
        while place and place not in pairs:
            place, _, last = place.rpartition(".")
            rest = f".{last}{rest}"
        if place:  # what no output needs is not compared
            tensor.data.copy_(theirs[pairs[place] + rest][tuple(slice(size) for size in tensor.shape)])


def check(searched: Elaborated, seed: int, *, plain: bool) -> str:
    """The law for a random architecture; with ``plain``, for the network as it is retrained too. The derived text."""
    chosen = random_decisions(searched, seed)
    supernet = randomize(Supernet(searched))
    weights = {path: weight.double() for path, weight in one_hot(searched.decisions, chosen).items()}
    x = torch.randn(2, *searched.input.largest, dtype=torch.float64)
    expected = supernet(x, weights)
    text, _ = architecture(searched, chosen)
    for relaxed in (True, False) if plain else (True,):
        _, derived = architecture(searched, chosen, relaxed=relaxed)
        network = randomize(Network(derived), seed=1)
        wide, narrow = Decided(searched.block.graph, chosen), Decided(derived.block.graph, {})
        pairs = {b: a for a, b in matched(wide, narrow)}
        copy(supernet.network, network.network, pairs)
        actual = network(x)
        assert_same({"output": actual[0] if isinstance(actual, tuple) else actual}, {"output": expected}, 1e-9)
    return text


SMALL = {
    "darts": lambda: space("darts.hsp", c=4, cells=3, size=16),
    "hdas_cells": lambda: space("hdas_cells.hsp", c=2, cells=4),
    "hdas_stages": lambda: space("hdas_stages.hsp", c=2, stages=2),
    "nasbench201": lambda: space("nasbench201.hsp", size=8, c=4, n=1),
    "hdas_dist": lambda: space("hdas_dist.hsp", "Hdas", c=2, stages=2, Stage="Open", cells=8),
}


@pytest.mark.parametrize("name", SMALL)
def test_searched_variants(name: str) -> None:
    """Norms without affine parameters and norms after pools: only the search variants agree."""
    check(SMALL[name](), 3, plain=False)


@pytest.mark.parametrize("seed", range(3))
def test_without_variants(seed: int) -> None:
    """Nothing in blocks of ShuffleNet depends on the search, so the network that is retrained agrees."""
    check(space("spos_shufflenet.hsp", size=32, wide=0.25, classes=10), seed, plain=True)


WIDTHS = """\
hsp 1
op bottleneck(x; c) = x -> conv(1, c) -> batch_norm -> relu -> dwconv(3) -> batch_norm -> conv(1, x.c)

cell Cell(x; c) {
  w = 2 | 3 | 5
  a = x -> conv(3, w) -> batch_norm
  b = x -> conv(1, w)
  s[i < 1 | .. | 3] = prev(a + b) -> relu -> conv(k = 1 | 3)
  output (x -> bottleneck(c = 1 | 4)) + (last of s -> conv(1, c))
}

network Net(x: [3, 8, 8]) {
  stem = conv(x, 3, 4)
  k[i < 2] = prev(stem) -> Cell@i(4)
  output last of k
}
"""


@pytest.mark.parametrize("seed", range(6))
def test_widths_kernels_and_sizes(seed: int) -> None:
    check(space(WIDTHS), seed, plain=True)


SIGMOIDS = """\
hsp 1
cell Cell(x; c) {
  w = 2 | 5
  a = x -> conv(1, w) -> ACTIVATION -> conv(3, c)
  output a + x
}

network Net(x: [3, 8, 8]) {
  stem = conv(x, 3, 4)
  output Cell(stem, c = 4)
}
"""


@pytest.mark.parametrize("name", ["sigmoid", "hard_sigmoid"])
def test_activations_that_fill_zeros(name: str) -> None:
    """Channels beyond the width are zero before the activation, not after it: they are masked again."""
    texts = [check(space(SIGMOIDS.replace("ACTIVATION", name)), seed, plain=True) for seed in range(4)]
    assert {"w = 2" in text for text in texts} == {True, False}


CONCATS = """\
hsp 1
cell Cell(x; c) {
  w = 2 | 3 | 5
  a = x -> conv(3, w) -> batch_norm
  b = x -> conv(1, 1 | 4)
  d = x -> conv(1, w)
  both = concat(concat(a, b) + concat(d, b), x) -> relu
  n[i < 3] = concat(earlier n, x) -> conv(1, 1 | 2)
  m = concat(x, last 0 of n, n) -> conv(1, c)
  output (both -> batch_norm -> conv(3, c)) + (concat(a, d) -> sigmoid -> conv(1, c)) + (concat(b, a) -> conv(1, c)) + m
}

network Net(x: [3, 8, 8]) {
  stem = conv(x, 3, 4)
  output Cell(stem, c = 4)
}
"""


def test_concatenations_of_searched_widths() -> None:
    """Without gaps, as the derived network has them: its weights are the first ones."""
    texts = {check(space(CONCATS), seed, plain=True) for seed in range(5)}
    assert len(texts) > 2


READ_TWICE = """\
hsp 1
op unit(x; k) = x -> conv(k, x.c) -> batch_norm

cell Cell(x) {
  u = (unit(k = 1) | unit(k = 3) | identity)(x)
  v = (unit(k = 3) | identity)(u)
  w = sum(pick 1 of (u, v))
  output w + u + v
}

network Net(x: [3, 8, 8]) {
  output Cell(x)
}
"""


def test_lines_that_others_read() -> None:
    """A pick does not decide for lines of the cell whether their menus run: others may read them."""
    searched = space(READ_TWICE)
    assert not searched.decisions["Cell.w.in"].candidates
    for seed in range(4):
        check(searched, seed, plain=True)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.integers(0, 2**16))
def test_random_spaces(text: str, seed: int) -> None:
    searched = space(text)
    if searched.is_space and not searched.refusals:
        check(searched, seed, plain=True)
