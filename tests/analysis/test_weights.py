"""Weights of items: architectures are drawn as the productions of a grammar say, uniformly where there are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from pathlib import Path
from random import Random

import pytest
from scipy.stats import chisquare

from compiler.analysis.architectures import Architectures, sample
from compiler.derivation import derive_space
from compiler.ir.combinatorics.circuit import narrowed
from compiler.ir.combinatorics.weighted import WeightedWays
from compiler.ir.decision import Selection
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.searcher.explore.study import stream_of
from compiler.searcher.settings.exploring import Draw, Evolution, RandomDraws, Shipped
from hdas_dsl.tree.printer import print_module
from tests.searcher.test_explorers import explore, explored
from tests.support.paths import SPACES

GRAMMAR = """\
hsp 1

cell Leaf(x) {
  output (conv(1) weight 3 | relu)(x)
}

choice Tree(d, p) = Leaf@fresh weight p
                  | Tree(d - 1, p) -> Tree(d - 1, p) weight (1 - p) / 2 if d > 0
                  | identity weight (1 - p) / 2

network Net(x: [2, 4, 4]) {
  output x -> Tree(2, 0.4)
}
"""
DRAWS = 1500
ROOT = "Net.output.from_x"


def words(d: int, p: float) -> Iterator[tuple[str, float]]:
    """Every word of the grammar with its probability, by its productions."""
    leaf, rest = (p, (1 - p) / 2) if d else (p / (p + (1 - p) / 2), (1 - p) / 2 / (p + (1 - p) / 2))
    yield from (("c", leaf * 3 / 4), ("r", leaf / 4), ("i", rest))
    if d:
        for (left, a), (right, b) in product(list(words(d - 1, p)), repeat=2):
            yield f"({left}{right})", a * b * rest


def word(listing: Architectures, chosen: Selection, path: str = ROOT) -> str:
    (item,) = chosen[path]
    production = listing.decisions[path].items[item]
    if production == "identity":
        return "i"
    if production.startswith("Leaf"):
        (kind,) = chosen[f"Leaf@{path.removeprefix('Net.').replace('.', '_')}.output.from_x"]
        return "cr"[kind]
    return f"({word(listing, chosen, f'{path}.Tree')}{word(listing, chosen, f'{path}.Tree_2')})"


def follows(found: Iterable[str], expected: Mapping[str, float]) -> bool:
    """Whether words occur as they are expected; those that are rare count together."""
    often = Counter(found)
    assert set(often) <= set(expected)
    number, whole = sum(often.values()), sum(expected.values())
    common = [name for name, share in expected.items() if share / whole * number >= 5]
    counts = [often[name] for name in common]
    shares = [expected[name] / whole * number for name in common]
    return float(chisquare([*counts, number - sum(counts)], [*shares, number - sum(shares)]).pvalue) > 1e-3


def listed(text: str = GRAMMAR) -> Architectures:
    return Architectures(Request(Path("space.hsp"), text=text))


def test_draws_follow_the_productions() -> None:
    listing, expected = listed(), dict(words(2, 0.4))
    assert sum(expected.values()) == pytest.approx(1)
    assert len(expected) == listing.number
    drawn = [word(listing, found.choices[0]) for found in sample(listing, DRAWS, weighted=True)]
    assert follows(drawn, expected)
    uniform = [word(listing, found.choices[0]) for found in sample(listing, DRAWS)]
    assert follows(uniform, dict.fromkeys(expected, 1.0))
    assert not follows(uniform, expected)


def test_what_is_left_of_them_keeps_their_proportions() -> None:
    listing = listed()
    (part,) = listing.parts
    twice = narrowed(part.circuit, lambda path, items: path != ROOT or items == (1,))
    ways = WeightedWays(twice, part.weighted.probability)
    source = Random(1)
    drawn = [word(listing, ways.draw(source)) for _ in range(DRAWS)]
    assert follows(drawn, {name: share for name, share in words(2, 0.4) if name.startswith("(")})


def test_picks_are_drawn_uniformly_however_many_there_are() -> None:
    """Products over hundreds of decisions are not floats; an architecture without weights is as likely as any other."""
    (part,) = Architectures(Request(SPACES / "hdas_stages.hsp")).parts
    source = Random(0)
    drawn = Counter(part.weighted.draw(source)["Stage@2.s3.mix.in"] for _ in range(400))
    assert len(drawn) == 3
    assert chisquare(list(drawn.values())).pvalue > 1e-3


@pytest.mark.parametrize("word", [RandomDraws(trials=9, draw=Draw.WEIGHTS), Evolution(trials=9, draw=Draw.WEIGHTS)])
def test_explorers_draw_by_them(word: Shipped) -> None:
    space = explored(GRAMMAR)
    stream = stream_of(3)
    asked = [trial.number for trial in explore(space, word).trials]
    assert asked == [space.drawn(stream(k), Draw.WEIGHTS).number for k in range(9)]
    assert asked != [space.drawn(stream(k)).number for k in range(9)]


def test_a_smaller_space_keeps_them() -> None:
    program, _ = compile_file("space.hsp", text=GRAMMAR)
    assert program is not None
    text = print_module(derive_space(program.network, {ROOT: (0, 2)}))
    assert "Leaf@output_from_x weight 0.4 | identity weight 0.3" in text
    left, diagnostics = compile_file("left.hsp", text=text)
    assert left is not None, diagnostics
    assert {decision.weights for decision in left.network.decisions.values()} == {(0.4, 0.3), (3.0, 1.0)}
