"""The laws of `narrow`: what lives, what it costs, which menu is decided when, and for which item."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import Tensor

from compiler import contains, search
from compiler.backend.passes import FLATTEN
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import menus
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.evidence import numbers
from compiler.searcher.relaxations.live import Live, LiveMixture
from compiler.searcher.relaxations.menu_scores import CertaintyScore, scaled
from compiler.searcher.relaxations.mixtures import DirichletMixture, Mixture, SigmoidMixture, SoftmaxMixture
from compiler.searcher.relaxations.narrowing import narrower_of
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import one_hot
from compiler.searcher.settings.derivation import By
from compiler.searcher.settings.narrowing import (
    ByCertainty,
    ByDamage,
    ByStrength,
    Measure,
    MenuOrder,
    OneByOne,
    Together,
)
from hdas_dsl.text.diagnostics import Diagnostic
from tests.support.interruption import at_step, terminated
from tests.support.programs import randomize, space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
cell Cell(x) {
  n[i < 2] = sum(pick 2 of Op(each (x, x -> relu, earlier n)))
  output last of n
}
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  output stem -> Cell -> Cell -> classifier(classes)
}
"""
PICKS = ("Cell.n0", "Cell.n1")


def phase(settings: str) -> Phase:
    section = f"search Net {{\n data = fake(classes = 3, count = 48, channels = 1, size = 8)\n {settings}\n}}\n"
    program, wrong = compile_file("n.hsp", text=TEXT + section)
    assert program is not None, [Diagnostic.render(d) for d in wrong]
    return program.phases[0]


def supernet(settings: str, seed: int = 0) -> Supernet:
    found = phase(settings)
    made = relaxed(found.network, found.settings, built=found.built)
    assert isinstance(made, Supernet)
    made = randomize(made, seed)
    torch.manual_seed(seed)
    for alpha in made.alphas.values():
        alpha.data.normal_()
    return made


def no_judge(measure: Measure) -> float:
    raise AssertionError("nothing is to be measured")


# ---------------------------------------------------------------- what lives


@pytest.mark.parametrize("settings", ["", "edges = weighed", "channels = partial(2)\n edges = weighed"])
@pytest.mark.parametrize("passes", ["naive", "optimised"])
def test_a_narrowed_network_is_the_whole_one_at_weights_of_zero(settings: str, passes: str) -> None:
    whole = supernet(settings + "\n narrow = one_by_one")
    if passes == "naive":
        whole = randomize(Supernet(whole.space, [FLATTEN], axes=whole.axes, built=phase(settings).built))
    torch.manual_seed(1)
    kept = {path: [1, 2] if number % 2 else [0, 3] for number, path in enumerate(menus(whole.space.decisions))}
    kept[next(path for path in kept if path.startswith("Cell.n1"))] = []
    x = torch.randn(3, 1, 8, 8, dtype=torch.float64)
    whole.live.keep(kept)
    weights = {path: w.detach().requires_grad_() for path, w in whole.weights_of_pass().items()}
    assert all(float(weights[path].detach()[gone]) == 0 for path in kept for gone in {0, 1, 2, 3} - set(kept[path]))
    before = len(list(whole.network.modules()))
    results = []
    for _ in range(2):  # The second network has no dead items.
        leaves = [p for p in whole.weights() if p.requires_grad]
        loss = whole(x, weights).square().sum()
        slopes = torch.autograd.grad(loss, [*weights.values(), *leaves], allow_unused=True)
        results.append(
            [
                loss,
                *(
                    torch.zeros_like(leaf) if s is None else s
                    for leaf, s in zip(leaves, slopes[len(weights) :], strict=True)
                ),
            ]
        )
        whole.begin(1)
    assert len(list(whole.lowering.now.modules())) < before
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_one_item_everywhere_is_the_derived_network() -> None:
    whole = supernet("narrow = one_by_one")
    decisions = whole.space.decisions
    chosen = whole.chosen()
    dead = {m for p in decisions for i, m in enumerate(decisions[p].candidates) if m and i not in chosen[p]}
    whole.live.keep({path: () if path in dead else chosen[path] for path in menus(decisions)})
    whole.begin(1)
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    whole.train()
    expected = whole(x, {path: w.double() for path, w in one_hot(decisions, chosen).items()})
    torch.testing.assert_close(whole(x), expected, rtol=1e-10, atol=1e-10)
    now = whole.chosen()
    assert {path: now[path] for path in chosen if path not in dead} == {
        p: c for p, c in chosen.items() if p not in dead
    }


@pytest.mark.parametrize("passes", ["naive", "optimised"])
def test_a_network_in_which_no_choice_lives_still_takes_weights(passes: str) -> None:
    """Sparse codes may leave `none` on every edge for a while: the network is a constant then, of weights too."""
    whole = supernet("narrow = one_by_one")
    if passes == "naive":
        whole = randomize(Supernet(whole.space, [FLATTEN], axes=whole.axes, built=phase("").built))
    whole.live.keep({path: [0] for path in menus(whole.space.decisions)})
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    whole.train()
    expected = whole(x)
    whole.begin(1)
    assert whole.lowering.now is not whole.lowering.first.network
    torch.testing.assert_close(whole(x), expected, rtol=1e-10, atol=1e-10)


def test_a_narrowed_network_costs_what_lives() -> None:
    whole = supernet("narrow = one_by_one")
    whole.live.keep({path: [3] for path in menus(whole.space.decisions)})
    whole.begin(1)
    used = {name for name, p in whole.lowering.now.named_parameters()}
    assert not any("unit" in name or "from" in name for name in used)
    assert {n for n, _ in whole.network.named_parameters()} > used


def test_to_keep_all_is_to_narrow_nothing() -> None:
    plain, narrowed = supernet(""), supernet("narrow = together(keep = 4, at = 1)")
    narrowed.narrow(1, no_judge)
    narrowed.begin(1)
    for mine, other in zip(plain.mixing().values(), narrowed.mixing().values(), strict=True):
        assert torch.equal(mine, other)
    assert plain.chosen() == narrowed.chosen()
    assert narrowed.lowering.now is narrowed.network
    assert "live.mask" not in plain.state_dict()


@pytest.mark.parametrize("mixture", [SoftmaxMixture(), SigmoidMixture(), DirichletMixture()])
def test_what_lives_is_mixed_as_if_there_were_no_others(mixture: Mixture) -> None:
    space_ = space(TEXT)
    live = Live(space_.decisions, narrows=True)
    path = menus(space_.decisions)[0]
    live.keep({path: [1, 3]})
    alive, decision = LiveMixture(mixture, live), space_.decisions[path]
    alpha = torch.randn(4, dtype=torch.float64, requires_grad=True)
    alone = alpha.detach()[[1, 3]]
    weights = alive.mean(decision, alpha)
    torch.testing.assert_close(weights.detach()[[1, 3]], mixture.mean(live.decision(path), alone))
    assert weights.detach()[[0, 2]].tolist() == [0, 0]
    (slope,) = torch.autograd.grad(weights[1], alpha)
    assert slope[[0, 2]].tolist() == [0, 0]
    torch.manual_seed(3)
    drawn = alive.draw({path: decision}, {path: alpha.detach()})[path]
    torch.manual_seed(3)
    expected = mixture.draw({path: live.decision(path)}, {path: alone})[path]
    torch.testing.assert_close(drawn[[1, 3]], expected)
    torch.testing.assert_close(alive.entropy(decision, alpha).detach(), mixture.entropy(live.decision(path), alone))


def test_what_was_given_up_stays_so_and_is_never_derived() -> None:
    whole = supernet("narrow = one_by_one")
    path = menus(whole.space.decisions)[0]
    best = 1 + int(whole.alphas[path][1:].argmax())
    whole.live.keep({path: [item for item in range(4) if item != best]})
    whole.live.keep({path: range(4)})
    assert best not in whole.live.items(path)
    whole.alphas[path].data[best] = 100
    assert whole.chosen()[path] != (best,)
    assert strongest(whole.space.decisions, numbers(whole.alphas), By.LOGIT)[path] == (best,)


# ---------------------------------------------------------------- together


def test_together_keeps_the_strongest_and_one_that_can_be_derived() -> None:
    whole = supernet("narrow = together(keep = (3, 1), at = (2, 4))")
    for alpha in whole.alphas.values():
        alpha.data.copy_(torch.tensor([3.0, 1.0, 2.0, 0.0]))  # The first is `zero`, never derived.
    paths = menus(whole.space.decisions)
    for done, left in ((1, (0, 1, 2, 3)), (2, (0, 1, 2)), (3, (0, 1, 2)), (4, (2,))):
        whole.narrow(done, no_judge)
        assert {whole.live.items(path) for path in paths} == {left}


# ---------------------------------------------------------------- one by one


def test_a_pick_gives_up_the_menus_that_it_does_not_take() -> None:
    whole = supernet("narrow = one_by_one")
    strengths = {path: max(a[1:]) - max(a) for path, a in numbers(whole.alphas).items()}
    assert strengths
    live: list[dict[str, int]] = []
    for done in range(1, 9):
        whole.narrow(done, no_judge)
        live.append({path: len(whole.live.items(path)) for path in menus(whole.space.decisions)})
    assert all(a >= b for one, two in pairwise(live) for a, b in zip(one.values(), two.values(), strict=True))
    picks = [d for d in whole.space.decisions.values() if d.candidates]
    for pick in picks:
        alive = [live[-1][menu] for menu in pick.candidates if menu]
        assert sorted(alive) == [0] * (len(alive) - 2) + [1, 1]
    assert len([1 for one, two in pairwise(live) if one != two]) == 3  # Four menus stay.
    chosen = whole.chosen()
    for pick in picks:
        assert {pick.candidates[i] for i in chosen[pick.path]} == {m for m in pick.candidates if m and live[-1][m]}


def test_decisions_come_after_begin_and_every() -> None:
    word = OneByOne(begin=3, every=2)
    assert [done for done in range(10) if word.decides(done)] == [3, 5, 7, 9]
    assert [done for done in range(4) if OneByOne(every=2).decides(done)] == [2]


def test_certainty_is_a_table_by_hand() -> None:
    """Of three menus with probabilities (none, a, b): importance, certainty and overlap, each scaled, multiplied."""
    text = "hsp 1\nchoice Op = zero if relaxed | relu | gelu\nnetwork Net(image: [1, 4, 4]) {\n"
    text += "  n[i < 3] = prev(image) -> Op\n  output last of n -> classifier(2)\n}\n"
    searched = space(text)
    paths = menus(searched.decisions)
    rows = ([0.5, 0.25, 0.25], [0.2, 0.6, 0.2], [0.0, 0.5, 0.5])
    past = ([0.5, 0.25, 0.25], [0.4, 0.2, 0.4], [0.25, 0.5, 0.25])

    class Toy:
        space: Elaborated = searched
        live = Live(searched.decisions, narrows=True, history=2)

        def distributions(self) -> dict[str, Tensor]:
            return {path: torch.tensor(row, dtype=torch.float64) for path, row in zip(paths, rows, strict=True)}

        mixing = distributions

    toy = Toy()

    def never(weights: Mapping[str, Tensor], measure: Measure) -> float:
        raise AssertionError

    found = CertaintyScore(0).decide(toy, paths, paths, never)
    certainty = 1 - (-(0.75 * torch.tensor(0.75).log2() + 0.25 * torch.tensor(0.25).log2())).item()
    importance = scaled([0.5, 0.8, 1.0])
    assert importance == pytest.approx([0, 0.6, 1])
    assert [found[path][0] for path in paths] == pytest.approx([0, 0.6 * 1, 1 * 0])
    assert [found[path][1] for path in paths] == [1, 1, 1]
    assert certainty > 0
    toy.live.remember({path: torch.tensor(row) for path, row in zip(paths, past, strict=True)})
    found = CertaintyScore(2).decide(toy, paths, paths, never)
    overlap = scaled([1.0, 0.2 + 0.2 + 0.2, 0.5 + 0.25])
    assert [found[path][0] for path in paths] == pytest.approx([0, 0.6 * overlap[1], 0])


def test_damage_is_the_worst_of_all_absences() -> None:
    whole = supernet("narrow = one_by_one(by = damage)")
    paths = menus(whole.space.decisions)
    torch.manual_seed(5)
    worth = {path: torch.rand(4, dtype=torch.float64) for path in paths}
    full = {path: w.detach().clone() for path, w in whole.mixing().items()}

    def judge(measure: Measure) -> float:
        assert measure is Measure.ACCURACY
        given = whole.given
        assert given is not None
        return float(sum((worth[path] * given[path]).sum() for path in paths))

    losses = {path: (worth[path] * full[path]) for path in paths}  # The absence of an item costs just this.
    best = {path: 1 + int(losses[path][1:].argmax()) for path in paths}
    first = max(paths, key=lambda path: float(losses[path][best[path]]))
    whole.narrow(1, judge)
    assert [path for path in paths if len(whole.live.items(path)) < 4] == [first]
    assert whole.live.items(first) == (best[first],)
    for done in range(2, len(paths) + 1):
        whole.narrow(done, judge)
    assert all(len(whole.live.items(path)) == 1 for path in paths)
    pick = next(d for d in whole.space.decisions.values() if len(d.candidates) > 2)
    kept = {path: float(worth[path][whole.live.items(path)[0]]) for path in pick.candidates if path}
    whole.narrow(len(paths) + 1, judge)
    gone = [path for path in paths if not whole.live.items(path)]
    assert gone == [min(kept, key=lambda path: kept[path])]
    assert whole.given is None


def test_a_random_order_follows_the_seed() -> None:
    def order(seed: int) -> list[str]:
        whole = supernet("narrow = one_by_one")
        narrower = narrower_of(OneByOne(next=MenuOrder.RANDOM), seed)
        assert narrower is not None
        found = []
        for done in range(1, 4):
            with torch.no_grad():
                kept = narrower.plan(whole, done, lambda weights, measure: 0.0)
            whole.live.keep(kept)
            found.append(next(path for path, items in kept.items() if items))
        return found

    assert order(0) == order(0)
    assert len({tuple(order(seed)) for seed in range(6)}) > 1


# ---------------------------------------------------------------- searches

SEARCHED = (
    "together(keep = (3, 1), at = (1, 2))",
    "one_by_one(by = certainty(history = 2), begin = 1)",
    "one_by_one(by = damage, next = random)",
    "one_by_one(by = damage(loss))",
)


@pytest.mark.parametrize("narrow", SEARCHED)
def test_a_narrowed_search_goes_on_where_it_was_killed(tmp_path: Path, narrow: str) -> None:
    file = tmp_path / "net.hsp"
    section = "search Net {\n data = fake(classes = 3, count = 48, channels = 1, size = 8)\n"
    file.write_text(f"{TEXT}{section} epochs = 4\n batch = 8\n narrow = {narrow}\n}}\n")
    report = search(file, tmp_path / "whole")
    with at_step(8, terminated), pytest.raises(RunInterruptedError):  # In the third epoch, after two decisions.
        search(file, tmp_path / "broken")
    search(file, tmp_path / "broken", resume=True)
    for written in ("derived.hsp", "checkpoint.safetensors"):
        assert (tmp_path / "broken" / written).read_bytes() == (tmp_path / "whole" / written).read_bytes()
    assert contains(file, report.derived)


def test_words_of_narrow() -> None:
    said: Callable[[str], object] = lambda text: phase(f"narrow = {text}").settings.narrow  # noqa: E731
    assert said("together(keep = 2, at = 5)") == Together(keep=(2,), at=(5,))
    assert said("one_by_one(by = damage(loss), next = random, begin = 50, every = 5)") == OneByOne(
        by=ByDamage(measure=Measure.LOSS), next=MenuOrder.RANDOM, begin=50, every=5
    )
    assert said("one_by_one(by = certainty(history = 4))") == OneByOne(by=ByCertainty(history=4))
    assert OneByOne().by == ByStrength()
    for wrong in (
        "together(keep = (2, 3), at = (1, 2))",
        "together(keep = 2, at = (1, 2))",
        "together(keep = 0, at = 1)",
    ):
        with pytest.raises(AssertionError, match="together"):
            said(wrong)
