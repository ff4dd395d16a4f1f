"""A concatenation of lines that decisions may leave out is as wide as what they leave."""

from __future__ import annotations

from itertools import product

import pytest

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.costs.of_architecture import ArchitectureCosts
from compiler.analysis.costs.prices import PRICES
from compiler.backend.lowering.names import attribute
from compiler.backend.lowering.network import Network
from compiler.derivation.specialise import specialise
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.verify import Stage, verify
from compiler.searcher.relaxations import Sampled
from tests.laws.test_3_one_hot import Decided, matched
from tests.laws.test_8_cost import counted
from tests.searcher.test_single_path import images, share_of
from tests.support.programs import architecture, assert_same, randomize, space

TEXT = """\
hsp 1
op unit(x) = x -> relu -> conv(3) -> batch_norm
choice Op = identity | unit

cell Cell(x, y) {
  n[i < 2] = sum(PICK of Op(each (x, y)))
  output concat(n) -> conv(1, 4)
  prune
}

network Net(image: [4, 6, 6]) {
  a = Cell(image, image)
  output Cell(image, a)
}
"""


def every(searched: Elaborated) -> list[Selection]:
    """All ways to pick that leave something, each with one of the ways to operate."""
    paths = list(searched.decisions)
    picks = [[(), (0,), (1,), (0, 1)] if path.endswith(".in") else [None] for path in paths]
    found = []
    for number, taken in enumerate(product(*picks)):
        bits = [(0,) if (number * 7 + 3) >> place & 1 else (1,) for place in range(len(paths))]
        chosen = [bit if items is None else items for bit, items in zip(bits, taken, strict=True)]
        if any(items for items in taken):
            found.append(dict(zip(paths, chosen, strict=True)))
    return found


def test_all_costs_agree_and_what_runs_is_the_derived_network() -> None:
    searched = space(TEXT.replace("PICK", "pick 0..2"))
    verify(searched.block.graph, searched.decisions, Stage.HIERARCHICAL)
    prices, widths = ArchitectureCosts(searched), set()
    one = randomize(Sampled(searched))
    for chosen in every(searched):
        text, derived = architecture(searched, chosen)
        on_graph = Costs().block(specialise(searched, chosen).block)
        priced = tuple(prices.amount(PRICES[quantity], chosen) for quantity in ("params", "macs"))
        assert priced == (on_graph.params, on_graph.macs) == counted(derived), text
        network = Network(derived, training_only=False).double()
        wide, narrow = Decided(searched.block.graph, chosen), Decided(derived.block.graph, {})
        share_of(one, network.network, {attribute(b): attribute(a) for a, b in matched(wide, narrow)})
        x = images(searched)
        assert_same({"output": one.eval()(x, chosen)}, {"output": network.eval()(x)})
        widths.add(len([line for line in text.splitlines() if line.startswith("  n")]))
    assert widths == {1, 2}


@pytest.mark.parametrize(
    ("pick", "varies"), [("pick 0..2", True), ("pick any", True), ("pick 1..2", False), ("pick 1", False)]
)
def test_only_what_may_be_missing_makes_it_vary(pick: str, varies: bool) -> None:
    refusals = space(TEXT.replace("PICK", pick)).refusals
    wanted = ["cannot be mixed: `concat` is narrower where 'n0' is missing (output.concat)"] if varies else []
    assert [refusal.message for refusal in refusals] == wanted


@pytest.mark.parametrize(
    ("line", "varies"),
    [
        ("pick 1 of (unit(m), x)", True),
        ("pick 1 of (unit(m), unit(m))", True),
        ("pick 2 of (x, unit(m), y)", False),
        ("Op(m)", True),
        ("sum(m, x)", False),
        ("unit(m)", True),
    ],
)
def test_what_is_made_of_something_that_may_be_missing(line: str, varies: bool) -> None:
    """A pick loses what it takes of the missing; anything else is there as its sources are."""
    lines = f"m = sum(pick 0..1 of (x, y))\n  n[i < 1] = sum({line})"
    text = TEXT.replace("n[i < 2] = sum(PICK of Op(each (x, y)))", lines)
    assert bool(space(text.replace("concat(n)", "concat(n, x)")).refusals) is varies
