"""`derive = threshold`: FairDARTS's rule written apart, what a threshold of nothing is, and requirements."""

from __future__ import annotations

import math
import re
from itertools import combinations, product

import pytest
import torch

from compiler.analysis.membership.query import membership
from compiler.analysis.requirements.constrained import derive_within
from compiler.analysis.requirements.score import score_of, scores_of
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.program.compile_file import compile_file
from compiler.searcher.relaxations.axes import Axes
from compiler.searcher.relaxations.mixtures import SigmoidMixture
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.derivation import By, Threshold
from tests.support.paths import SPACES
from tests.support.programs import space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = identity | unit | unit(k = 3)
cell Cell(x, y) {
  n[i < 2] = sum(zero(x), pick 0..2 of Op(each (x, y, earlier n)))
  REQUIRE
  output concat(n) -> conv(1, x.c)
}
network Net(image: [4, 8, 8]) {
  output Cell(image, image)
}
"""


def supernet(searched: Elaborated, over: float, seed: int) -> Supernet:
    """With weights that are mostly near 0 or 1, as they are at the end of a search."""
    torch.manual_seed(seed)
    found = Supernet(searched, axes=Axes(mixture=SigmoidMixture()), derive=Threshold(over=over))
    with torch.no_grad():
        for alpha in found.alphas.values():
            alpha.copy_(2 * torch.randn_like(alpha) - 0.8)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_rule_of_fair_darts(seed: int) -> None:
    """Of each node the two edges whose best operation weighs most, and of these that operation if it weighs 0.85."""
    program, wrong = compile_file(SPACES / "fair_darts.hsp")
    assert program is not None, wrong
    (phase,) = program.phases
    assert phase.settings.derive == Threshold(over=0.85)
    found = supernet(phase.network, 0.85, seed)
    chosen, decisions, numbers = found.answer().chosen, phase.network.decisions, set()
    for cell in ("Normal", "Reduction"):
        for node in range(4):
            edges = [path for path in decisions if path.startswith(f"{cell}.n{node}.from_")]
            weights = {edge: found.alphas[edge].sigmoid().tolist() for edge in edges}
            first_two = sorted(edges, key=lambda edge: -max(weights[edge]))[:2]
            kept = {e: weights[e].index(max(weights[e])) for e in first_two if max(weights[e]) >= 0.85}
            pick = decisions[f"{cell}.n{node}.in"]
            assert {pick.candidates[item] for item in chosen[pick.path]} == kept.keys()
            assert all(chosen[edge] == (item,) for edge, item in kept.items())
            numbers.add(len(kept))
    assert len(numbers) > 1


@pytest.mark.parametrize("by", By)
def test_a_threshold_of_nothing_takes_as_many_menus_as_the_strongest_do(by: By) -> None:
    searched = space(TEXT.replace("REQUIRE", ""))
    for seed in range(5):
        strengths = {p: alpha.sigmoid().log().tolist() for p, alpha in supernet(searched, 0, seed).alphas.items()}
        free = strongest(searched.decisions, strengths, By.LOGIT)
        assert strongest(searched.decisions, strengths, By.LOGIT, over=0.0) == free


@pytest.mark.parametrize(("least", "most"), [(0, 4), (1, 2), (0, 1), (2, 3)])
def test_independent_items_are_taken_from_the_threshold_on(least: int, most: int) -> None:
    decision = Decision("d", DecisionKind.PICK, tuple("abcd"), (True,) * 4, "Net", least=least, most=most)
    for seed in range(10):
        torch.manual_seed(seed)
        alphas = (2 * torch.randn(4, dtype=torch.float64)).tolist()

        def taken(over: float | None) -> tuple[int, ...]:
            return strongest({"d": decision}, {"d": alphas}, By.LOGIT, over)["d"]  # noqa: B023 (used at once)

        order = sorted(range(4), key=lambda item: -alphas[item])
        above = [item for item in order if 1 / (1 + math.exp(-alphas[item])) >= 0.8]
        assert taken(0.8) == tuple(sorted(order[: min(max(len(above), least), most)]))
        assert taken(0.5) == taken(None)


@pytest.mark.parametrize("over", [0.0, 0.5, 0.85])
def test_what_meets_a_requirement_scores_best_of_all_that_do(over: float) -> None:
    """Without one, the rule's own answer does; where it needs fewer parameters, exhaustively."""
    searched = space(TEXT.replace("REQUIRE", "require params <= 250"))
    decisions, changed = searched.decisions, 0
    for seed in range(5):
        found = supernet(searched, over, seed)
        strengths = {p: alpha.double().sigmoid().log().tolist() for p, alpha in found.alphas.items()}
        scores = scores_of(decisions, strengths, By.LOGIT, over)
        every = list(all_of(decisions))
        free = strongest(decisions, strengths, By.LOGIT, over)
        assert score_of(scores, free) == pytest.approx(max(score_of(scores, chosen) for chosen in every))
        best = max(score_of(scores, chosen) for chosen in every if found.required.met(chosen))
        answer = derive_within(found.required, strengths, By.LOGIT, over).chosen
        assert found.required.met(answer)
        assert score_of(scores, answer) == pytest.approx(best, abs=1e-6)
        changed += answer != free
    assert changed


def all_of(decisions: dict[str, Decision]) -> list[Selection]:
    """All ways to decide."""
    ways = [
        [
            taken
            for size in range(decision.least, decision.most + 1)
            for taken in combinations(range(len(decision.items)), size)
        ]
        for decision in decisions.values()
    ]
    return [dict(zip(decisions, chosen, strict=True)) for chosen in product(*ways)]


def test_the_published_cells_lie_in_the_space_where_their_missing_node_is_zero() -> None:
    """The program leaves a node without inputs out; the space has zeros there, and beside every sum."""
    within, wrong = compile_file(SPACES / "fair_darts.hsp")
    assert within is not None, wrong
    text = (SPACES / "zoo/fairdarts_a.hsp").read_text()
    published, wrong = compile_file(SPACES / "zoo/fairdarts_a.hsp", text=text)
    assert published is not None, wrong
    found = membership(within, published)
    assert (found.inside, found.path, found.reason) == (False, "Normal.n1", "the architecture has no 'n1'")
    normal, reduction, rest = text.partition("cell Reduction")[0], *text.partition("cell Reduction")[2].split("}", 1)
    normal = re.sub(r"( n\d) = ", r"\1 = none(x) + ", normal).replace("  n2", "  n1 = none(x)\n  n2")
    reduction = re.sub(r"( n\d) = ", r"\1 = none(x, stride = 2) + ", reduction)
    zeroed, wrong = compile_file(SPACES / "zoo/fairdarts_a.hsp", text=f"{normal}cell Reduction{reduction}}}{rest}")
    assert zeroed is not None, wrong
    found = membership(within, zeroed)
    assert found.inside, found.reason
    assert found.decisions["Normal.n1.in"] == ()
