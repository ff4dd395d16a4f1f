"""Networks whose output depends on no input: told by running them, and the best of those that do not by trying all."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, product
from pathlib import Path

import pytest
import torch

from compiler.analysis.requirements.alive import alive, with_zeros
from compiler.analysis.requirements.constrained import Answer
from compiler.analysis.requirements.runner_up import runner_up
from compiler.analysis.requirements.score import score_of, scores_of
from compiler.backend.lowering.network import Network
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.remarks import without_input
from compiler.runs.search import search
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.derivation import By
from tests.support.programs import architecture, space

HEAD = """\
hsp 1
op c3(x) = x -> relu -> conv(3) -> batch_norm
op none(x) = x -> zero
choice Op = none | identity | c3
"""

CELL = (
    HEAD
    + """
cell Cell(x) {
  n[i < 2] = sum(Op(each (x, earlier n)))
  output last of n
}

network Net(image: [3, 4, 4]) {
  stem = image -> conv(1, 4) -> batch_norm
  a = Cell(stem)
  output Cell(a) -> batch_norm -> classifier(3)
}
"""
)

GATED = (
    HEAD
    + """
cell Cell(x, y) {
  g = Op(x) * Op(y)
  output g + Op(x)
}

network Net(image: [3, 4, 4]) {
  stem = image -> conv(1, 4) -> batch_norm
  output Cell(stem, stem) -> classifier(3)
}
"""
)

PICKED = (
    HEAD.replace(" | identity", "")
    + """
cell Cell(x) {
  a = Op(x)
  b = Op(x)
  output sum(pick 1 of Op(each (a, b)))
}

network Net(image: [3, 4, 4]) {
  output image -> conv(1, 4) -> batch_norm -> Cell -> classifier(3)
}
"""
)

OUTPUTS = (
    HEAD
    + """
network Net(image: [3, 4, 4]) {
  stem = image -> conv(1, 4) -> batch_norm
  a = Op(stem)
  output (Op(a) -> classifier(3), (a + Op(stem)) -> conv(1, 2))
}
"""
)

SPACES = {
    "threshold": PICKED.replace("sum(pick 1 of Op(each (a, b)))", "sum(zero(x), pick 0..2 of Op(each (a, b)))"),
    "cell": CELL,
    "gated": GATED,
    "outputs": OUTPUTS,
    "picked": PICKED,
    "picked_menus": PICKED.replace("pick 1 of", "pick 1..2 of"),
    "picked_any": PICKED.replace("sum(pick 1 of Op(each (a, b)))", "sum(Op(x), pick any of (a, b, c3(b)))"),
    "picked_lines": PICKED.replace("pick 1 of Op(each (a, b))", "pick 1..2 of (a, b, c3(b))"),
}


@cache
def searched(name: str) -> Elaborated:
    return space(SPACES[name])


def everything(of: Elaborated) -> list[Selection]:
    items = [
        [taken for size in range(d.least, d.most + 1) for taken in combinations(range(len(d.items)), size)]
        for d in of.decisions.values()
    ]
    return [dict(zip(of.decisions, chosen, strict=True)) for chosen in product(*items)]


@cache
def living(name: str) -> list[Selection]:
    """The architectures whose network gives two images two outputs, each of several, found by running each."""
    torch.manual_seed(0)
    images = torch.randn(2, 3, 4, 4)
    found = []
    known: dict[str, bool] = {}
    for chosen in everything(searched(name)):
        text, network = architecture(searched(name), chosen)
        if text not in known:
            with torch.no_grad():
                given = Network(network).module.eval()(images)
            outputs = given if isinstance(given, tuple) else (given,)
            known[text] = not any(torch.equal(first, second) for first, second in outputs)
        if known[text]:
            found.append(chosen)
    assert 0 < len(found) < len(everything(searched(name)))
    return found


def strengths_of(of: Elaborated, seed: int) -> dict[str, list[float]]:
    """Alphas of which the first, that of `none`, tends to be strong."""
    source = random.Random(seed)
    return {
        path: [source.gauss(2.0 * (item == 0), 1) for item in range(d.alphas)]
        for path, d in of.decisions.items()
        if d.alphas
    }


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("name", sorted(SPACES.keys() - {"threshold"}))
def test_the_answer_is_the_best_of_all_architectures_that_live(name: str, by: By) -> None:
    of = searched(name)
    revived = 0
    for seed in range(10):
        alphas = strengths_of(of, seed)
        scores = scores_of(of.decisions, alphas, by)
        found = alive(of, alphas, by, lambda values, by: Answer.of(strongest(of.decisions, values, by)))
        best = max(score_of(scores, chosen) for chosen in living(name))
        assert found.chosen in living(name)
        assert score_of(scores, found.chosen) == pytest.approx(best, abs=1e-9)
        assert not found.is_dead
        assert (found.instead_of is None) == (strongest(of.decisions, alphas, by) in living(name))
        revived += found.instead_of is not None
    assert revived


@pytest.mark.parametrize("by", list(By))
@pytest.mark.parametrize("name", sorted(SPACES.keys() - {"threshold"}))
def test_the_runner_up_is_the_best_of_all_others_that_live(name: str, by: By) -> None:
    of = searched(name)

    def select(values: Mapping[str, Sequence[float]], by: By) -> Answer:
        return Answer.of(strongest(of.decisions, values, by))

    def computed(chosen: Selection) -> dict[str, tuple[int, ...]]:
        """The decisions that have a part in the network: what nobody reads makes no other architecture."""
        return {path: tuple(chosen[path]) for path in paths.path(chosen).used}

    paths = with_zeros(of)
    networks = [computed(chosen) for chosen in living(name)]
    for seed in range(10):
        alphas = strengths_of(of, seed)
        scores = scores_of(of.decisions, alphas, by)
        first = alive(of, alphas, by, select).chosen
        found = runner_up(of, alphas, by, select, first)
        others = [
            score_of(scores, chosen)
            for chosen, network in zip(living(name), networks, strict=True)
            if network != computed(first)
        ]
        assert found is not None
        assert found[0] in living(name)
        assert score_of(scores, found[0]) == pytest.approx(max(others), abs=1e-9)
        assert found[1] == pytest.approx(score_of(scores, first) - max(others), abs=1e-9)


def test_with_a_threshold_inputs_may_be_added_to_live() -> None:
    """A pick of menus that takes only what weighs enough takes more where nothing else gets the input through."""
    of, revived = searched("threshold"), 0
    for seed in range(10):
        strengths = {
            path: [math.log(1 / (1 + math.exp(-alpha))) for alpha in alphas]
            for path, alphas in strengths_of(of, seed).items()
        }
        scores = scores_of(of.decisions, strengths, By.LOGIT, 0.85)
        found = alive(
            of,
            strengths,
            By.LOGIT,
            lambda values, by: Answer.of(strongest(of.decisions, values, by, 0.85)),
            0.85,
        )
        best = max(score_of(scores, chosen) for chosen in living("threshold"))
        assert found.chosen in living("threshold")
        assert score_of(scores, found.chosen) == pytest.approx(best, abs=1e-9)
        revived += found.instead_of is not None
    assert revived


def test_a_requirement_is_met_as_well() -> None:
    required = space(CELL.replace("  output last", "  require count(c3) <= 0\n  output last"))
    torch.manual_seed(0)
    supernet = Supernet(required)
    with torch.no_grad():
        for alpha in supernet.alphas.values():
            alpha.copy_(torch.tensor([5.0, 1.0, 4.0]))
    answer = supernet.answer()
    items = {path: required.decisions[path].items[chosen[0]] for path, chosen in answer.chosen.items()}
    assert sorted(items.values()) == ["identity", "none", "none"]
    assert answer.chosen in living("cell")


def test_where_nothing_lives_the_answer_says_so() -> None:
    zeros = CELL.replace("none | identity | c3", "none | other")
    dead = space(zeros.replace("choice", "op other(x) = x -> zero\nchoice"))
    answer = Supernet(dead).answer()
    assert answer.is_dead
    assert list(without_input(dead, answer)) == [
        "the output of 'Net' as it was derived depends on no input: the prediction is the same for every image"
    ]


SEARCH = """
search Net {
  data = fake(classes = 3, count = 16, size = 4)
  epochs = 1
  batch = 8
  alphas = adam(lr = 1, init = 0)
  minimize macs weight 100
}
"""


@pytest.mark.parametrize("relax", ["softmax", "sample"])
def test_a_search_that_is_drawn_to_none_derives_a_network_that_lives(relax: str, tmp_path: Path) -> None:
    file = tmp_path / "net.hsp"
    file.write_text(CELL + SEARCH.replace("epochs", f"relax = {relax}\n  epochs"))
    said: list[str] = []
    report = search(plan_search(Request(file), RunConfig(tmp_path / "run", quiet=True, device="cpu")), said.append)
    torch.manual_seed(0)
    with torch.no_grad():
        first, second = Network(space(report.text)).module.eval()(torch.randn(2, 3, 4, 4))
    assert not torch.equal(first, second)
    assert any("the output of the strongest architecture depends on no input" in sentence for sentence in said), said
