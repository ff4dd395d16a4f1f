"""Picks of a to b candidates: what is derived, drawn and changed, against all subsets."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import combinations, permutations, product

import pytest
import torch
from scipy.stats import chisquare

from compiler.analysis.architectures.moves import _drawn, _others
from compiler.derivation.best_path import best_path
from compiler.derivation.strongest import strongest
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.relaxations.draws import _size, _ways, added, drawn, log_probability, noise
from compiler.searcher.settings.derivation import By
from tests.support.programs import space

BOUNDS = ((0, 4), (0, 2), (1, 3), (2, 2), (1, 4))

MENUS = """\
hsp 1
op none(x) = zero(x)
choice Op = none if relaxed | relu | gelu
cell Cell(x, y) {
  n[i < 2] = sum(x, pick BOUNDS of Op(each (x, y, earlier n)))
  output sum(n)
  prune
}
network Net(image: [4, 8, 8]) {
  output Cell(image, image)
}
"""


def pick(least: int, most: int) -> Decision:
    return Decision("d", DecisionKind.PICK, tuple("abcd"), (True,) * 4, "Net", least=least, most=most)


def subsets(decision: Decision) -> list[tuple[int, ...]]:
    """All that a pick may take, by the definition."""
    sizes = range(decision.least, decision.most + 1)
    return [taken for size in sizes for taken in combinations(range(len(decision.items)), size)]


def drawn_alphas(seed: int, count: int = 4) -> list[float]:
    source = random.Random(seed)
    return [source.gauss(0, 1.5) for _ in range(count)]


@pytest.mark.parametrize(("least", "most"), [bounds for bounds in BOUNDS if bounds != (2, 2)])
@pytest.mark.parametrize("seed", range(5))
def test_the_most_probable_subset_within_the_bounds_is_taken(least: int, most: int, seed: int) -> None:
    decision, alphas = pick(least, most), drawn_alphas(seed)

    def probability(taken: tuple[int, ...]) -> float:
        shares = [1 / (1 + math.exp(-alpha)) for alpha in alphas]
        return math.prod(share if item in taken else 1 - share for item, share in enumerate(shares))

    best = max(subsets(decision), key=probability)
    assert strongest({"d": decision}, {"d": alphas}, By.PROBABILITY) == {"d": best}


@pytest.mark.parametrize("bounds", ["0..2", "1..2", "2..2", "0..1"])
@pytest.mark.parametrize("by", By)
def test_of_menus_as_many_are_taken_as_may_be(bounds: str, by: By) -> None:
    """Their strengths have no mark; the most probable way, and the best score, agree."""
    searched, one = space(MENUS.replace("BOUNDS", bounds)), space(MENUS.replace("BOUNDS", bounds[-1]))
    for seed in range(5):
        alphas = {
            path: drawn_alphas(seed + place, decision.alphas)
            for place, (path, decision) in enumerate(searched.decisions.items())
            if decision.alphas
        }
        chosen = strongest(searched.decisions, alphas, by)
        assert chosen == strongest(one.decisions, alphas, by)
        assert best_path(searched, alphas, by) == chosen


# ---------------------------------------------------------------- draws


def draw(decision: Decision, clean: torch.Tensor) -> Selection:
    decisions = {"d": decision}
    return drawn(decisions, added(decisions, {"d": clean}, noise(decisions, {"d": clean})))


@pytest.mark.parametrize(("least", "most"), [(0, 4), (0, 2), (1, 3), (1, 4), (2, 3)])
def test_draws_are_those_of_independent_coins_that_fell_within_the_bounds(least: int, most: int) -> None:
    decision = pick(least, most)
    clean = torch.tensor([1.5, -0.5, 0.3, -2.0], dtype=torch.float64, requires_grad=True)
    every = subsets(decision)
    coins = [
        torch.stack([p.sigmoid() if i in taken else (-p).sigmoid() for i, p in enumerate(clean)]).prod()
        for taken in every
    ]
    expected = torch.stack(coins) / torch.stack(coins).sum()
    found = torch.stack(
        [log_probability({"d": decision}, {"d": clean}, {"d": clean}, {"d": taken}, ["d"]) for taken in every]
    )
    torch.testing.assert_close(found.exp(), expected, rtol=1e-12, atol=1e-12)
    for one, other in zip(found.exp(), expected, strict=True):
        mine, theirs = (torch.autograd.grad(value, clean, retain_graph=True)[0] for value in (one, other))
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    torch.manual_seed(0)
    counts = Counter(draw(decision, clean.detach())["d"] for _ in range(2000))
    assert set(counts) <= set(every)
    assert chisquare([counts[taken] for taken in every], 2000 * expected.detach().numpy()).pvalue > 1e-3


@pytest.mark.parametrize("logit", [-800.0, 800.0])
def test_bounds_hold_where_the_coins_would_never_fall_so(logit: float) -> None:
    torch.manual_seed(0)
    for _ in range(20):
        (taken,) = draw(pick(1, 2), torch.full((4,), logit, dtype=torch.float64)).values()
        assert len(taken) == (1 if logit < 0 else 2)


def ranged(least: int, most: int) -> dict[str, Decision]:
    """A pick of so many of three menus, of which the last has an item that is never derived."""
    usable = {"a": (True, True), "b": (True, True), "c": (False, True)}
    menus = {m: Decision(m, DecisionKind.OPERATION, ("1", "2"), derivable, "Net") for m, derivable in usable.items()}
    taken = Decision("d", DecisionKind.PICK, tuple(menus), (True,) * 3, "Net", least, most, candidates=tuple(menus))
    return {**menus, "d": taken}


@pytest.mark.parametrize(("least", "most"), [(0, 2), (1, 3), (0, 3), (2, 2)])
def test_how_many_menus_are_drawn_is_uniform_over_what_the_pick_may_take(least: int, most: int) -> None:
    """All draws, each in every order of its candidates: so many are as probable as subsets of that size are many."""
    decisions = ranged(least, most)
    clean = {menu: torch.tensor(drawn_alphas(seed, 2), dtype=torch.float64) for seed, menu in enumerate("abc")}
    sizes = dict.fromkeys(range(least, most + 1), 0.0)
    for taken in (taken for size in range(least, most + 1) for taken in permutations(range(3), size)):
        for items in product(*([1] if item == 2 else [0, 1] for item in taken)):
            order = {menu: torch.zeros(2, dtype=torch.float64) for menu in "abc"}
            chosen: Selection = {"a": (0,), "b": (0,), "c": (1,), "d": tuple(sorted(taken))}
            for place, (candidate, item) in enumerate(zip(taken, items, strict=True)):
                chosen["abc"[candidate]] = (item,)
                order["abc"[candidate]][item] = 9.0 - place
            used = ["d", *("abc"[candidate] for candidate in taken)]
            sizes[len(taken)] += float(log_probability(decisions, clean, order, chosen, used).exp())
    every = [len(taken) for size in range(least, most + 1) for taken in combinations(range(3), size)]
    expected = {size: number / len(every) for size, number in Counter(every).items()}
    assert sizes == pytest.approx(expected, abs=1e-12)
    assert [_size(decisions["d"], number) for number in range(_ways(decisions["d"]))] == every


def test_the_number_that_is_drawn_is_taken_the_strongest_first() -> None:
    decisions = ranged(0, 2)
    found: set[tuple[int, ...]] = set()
    for seed in range(20):
        torch.manual_seed(seed)
        noisy = {"a": torch.tensor([0.0, 3.0]), "b": torch.tensor([2.0, 1.0]), "c": torch.tensor([9.0, 1.0])}
        chosen = drawn(decisions, noisy)
        assert {**chosen, "d": ()} == {"a": (1,), "b": (0,), "c": (1,), "d": ()}
        found.add(chosen["d"])
    assert found == {(), (0,), (0, 1)}


# ---------------------------------------------------------------- changes


@pytest.mark.parametrize(("least", "most"), BOUNDS)
def test_a_change_is_one_candidate_more_one_less_or_another(least: int, most: int) -> None:
    """Without bounds, one more or one less alone."""
    decision = pick(least, most)
    for taken in subsets(decision):
        near = {
            other
            for other in subsets(decision)
            if len({*taken} ^ {*other}) == 1
            or (decision.bounded and len(taken) == len(other) and len({*taken} ^ {*other}) == 2)
        }
        found = list(_others(decision, taken))
        assert set(found) == near
        assert len(found) == len(near)


@pytest.mark.parametrize(("least", "most"), BOUNDS)
def test_what_is_drawn_anew_is_uniform(least: int, most: int) -> None:
    decision, source = pick(least, most), random.Random(0)
    counts = Counter(_drawn(decision, source) for _ in range(60 * len(subsets(decision))))
    assert set(counts) <= set(subsets(decision))
    assert chisquare([counts[taken] for taken in subsets(decision)]).pvalue > 1e-3
