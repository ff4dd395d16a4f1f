"""Relaxations that draw: what, how probably, how the alphas learn from it, and that a run can be broken anywhere."""

from __future__ import annotations

import copy
import math
import signal
from functools import cache
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.data.load import load_data
from compiler.searcher.engine import RunInterruptedError, RunOptions, SearchOutcome, run_search
from compiler.searcher.engine.gradients import frozen
from compiler.searcher.relaxations import HardGumbel, OnePath, Relaxed, Sampled, Temperature, relaxed
from compiler.searcher.relaxations.axes import Axes
from compiler.searcher.relaxations.draws import log_probability, logits, noise
from compiler.searcher.relaxations.mixtures import GumbelMixture
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import mixing
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.derivation import By
from compiler.searcher.settings.optimizers import AlphaAdam, Sgd
from compiler.searcher.settings.relaxation import Gumbel, Policy, Relaxation, Sample, Softmax
from compiler.searcher.settings.schedules import Constant, Cosine, Decay
from compiler.searcher.settings.sections import SearchSettings, read_search
from compiler.searcher.settings.words import Applied
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.source import NOWHERE
from hdas_dsl.tree.printer import print_module
from tests.support.programs import randomize, space

NET = """\
hsp 1

op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity

network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  w = 4 | 6 | 8
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  m[i < 1 | 2] = prev(last of n) -> unit(k = 1 | 3)
  p = sum(stem, pick any of (last of m, last of n)) + sum(pick 1 of (stem, last of n))
  output p -> conv(1, w) -> batch_norm -> classifier(classes)
}
"""


@cache
def net() -> Elaborated:
    return space(NET)


def one_of_each(relax: Relaxation, searched: Elaborated | None = None, **settings: Any) -> Relaxed:
    torch.manual_seed(0)
    return relaxed(searched or net(), SearchSettings(relax=relax, **settings))


def sampling(searched: Elaborated | None = None, share: bool = False) -> Sampled:
    found = one_of_each(Sample(share=share), searched)
    assert isinstance(found, Sampled)
    return found


ONE_PATH: list[Gumbel | Sample] = [Gumbel(hard=True), Sample(), Sample(share=True, weights=Policy())]
ALL: list[Gumbel | Sample] = [Gumbel(temperature=Decay(start=5.0, factor=0.9)), *ONE_PATH]


def said(relax: Relaxation) -> str:
    return relax.describe()


# ---------------------------------------------------------------- draws


def alphas_of(searched: Elaborated, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {p: torch.randn(d.alphas, dtype=torch.float64) for p, d in searched.decisions.items() if d.alphas}


@pytest.mark.parametrize("by", By)
def test_probabilities_of_a_pick_of_menus_add_up(by: By) -> None:
    """Over all ordered pairs of candidates and what each may take; `zero` is never drawn."""
    decisions = {p: d for p, d in net().decisions.items() if p.startswith("Net.n1")}
    alphas = {p: a for p, a in alphas_of(net()).items() if p in decisions}
    clean = logits(decisions, alphas, by)
    pick = decisions["Net.n1.in"]
    edges = [path for path in pick.candidates if path is not None]
    assert len(edges) == len(pick.candidates)
    total = 0.0
    for first, second in permutations(range(len(edges)), 2):
        for items in product((1, 2, 3), repeat=2):
            chosen: Selection = dict.fromkeys(decisions, (1,))
            noisy = {p: torch.zeros(4) for p in alphas}
            for strength, edge, item in zip((2.0, 1.0), (first, second), items, strict=True):
                chosen[edges[edge]] = (item,)
                noisy[edges[edge]][item] = strength
            chosen[pick.path] = tuple(sorted((first, second)))
            used = [pick.path, *(edges[edge] for edge in (first, second))]
            total += math.exp(log_probability(decisions, clean, noisy, chosen, used))
    assert total == pytest.approx(1)


def test_draws_are_as_frequent_as_they_are_probable() -> None:
    """What is drawn for each decision, against the probabilities that the score function works with."""
    sampled = sampling()
    with torch.no_grad():
        for alpha in sampled.alphas.values():
            alpha.normal_()
    torch.manual_seed(1)
    clean = {p: values.detach() for p, values in sampled.logits().items()}
    counts: dict[tuple[str, tuple[int, ...]], int] = {}
    expected: dict[tuple[str, tuple[int, ...]], float] = {}
    simple = [p for p, d in net().decisions.items() if p in clean and not p.startswith("Net.n")]
    draws = 600
    for _ in range(draws):
        draw = sampled.draw(clean)
        for path in simple:
            key = (path, draw.chosen[path])
            counts[key] = counts.get(key, 0) + 1
            expected[key] = math.exp(log_probability(net().decisions, clean, draw.noisy, draw.chosen, [path]))
    assert {path for path, _ in counts} == set(simple)
    for key, count in counts.items():
        p = expected[key]
        assert abs(count / draws - p) < 5 * math.sqrt(p * (1 - p) / draws) + 1e-9, key


def test_noise_has_the_moments_of_gumbel_and_logistic() -> None:
    like = {p: torch.zeros(4000) for p in ("Net.w", "Net.p.in")}
    torch.manual_seed(0)
    found = noise(net().decisions, like)
    assert float(found["Net.w"].mean()) == pytest.approx(0.5772, abs=0.06)
    assert float(found["Net.w"].std()) == pytest.approx(math.pi / math.sqrt(6), abs=0.06)
    assert float(found["Net.p.in"].mean()) == pytest.approx(0, abs=0.1)
    assert float(found["Net.p.in"].std()) == pytest.approx(math.pi / math.sqrt(3), abs=0.1)


@pytest.mark.parametrize("relax", ONE_PATH, ids=said)
def test_draws_are_architectures(relax: Relaxation) -> None:
    """Each derives to a text of its own, and never holds what cannot be derived."""
    one = one_of_each(relax)
    assert isinstance(one, OnePath)
    texts = set()
    for _ in range(8):
        chosen = one.draw(one.logits()).chosen
        texts.add(text := print_module(derive_module(net(), chosen)))
        assert "zero" not in text
        assert not space(text).is_space
    assert len(texts) > 4


def test_draws_meet_requirements() -> None:
    searched = space(NET.replace("  w = 4", "  require params <= 300\n  w = 4"))
    sampled = sampling(searched)
    for _ in range(10):
        chosen = sampled.draw(sampled.logits()).chosen
        derived = space(print_module(derive_module(searched, chosen)))
        assert sum(p.numel() for p in sampled.network.parameters()) > 300
        assert sampled.operations.path(chosen).params <= 300
        assert derived.decisions == {}
    with torch.no_grad():
        for path, alpha in sampled.alphas.items():
            alpha.copy_(torch.arange(len(alpha), 0.0, -1) if path.startswith("Net.n") else torch.arange(len(alpha)))
    assert sampled.operations.path(sampled.chosen()).params <= 300
    impossible = sampling(space(NET.replace("  w = 4", "  require params <= 30\n  w = 4")))
    with pytest.raises(UsageError, match="none meets"):
        impossible.draw(impossible.logits())


# ---------------------------------------------------------------- passes


@pytest.mark.parametrize("relax", ALL, ids=said)
def test_every_training_pass_draws_and_no_other(relax: Relaxation) -> None:
    relaxed_net = one_of_each(relax)
    randomize(relaxed_net)
    with torch.no_grad():
        for alpha in relaxed_net.alphas.values():
            alpha.normal_()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    assert len({float(relaxed_net(x).detach().sum()) for _ in range(5)}) > 1
    torch.manual_seed(3)
    once = relaxed_net(x)
    torch.manual_seed(3)
    torch.testing.assert_close(relaxed_net(x), once, rtol=0, atol=0)
    relaxed_net.eval()
    before = torch.get_rng_state()
    assert len({float(relaxed_net(x).detach().sum()) for _ in range(3)}) == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_soft_gumbel_is_the_softmax_of_noisy_alphas() -> None:
    naive = Supernet(net())
    randomize(naive)
    soft = Supernet(net(), axes=Axes(GumbelMixture(Temperature(Decay(start=4.0, factor=0.5), 3)))).double()
    soft.load_state_dict(naive.state_dict())
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    soft.anneal(2.0)
    torch.manual_seed(9)
    ours = soft(x)
    torch.manual_seed(9)
    shift = noise(net().decisions, soft.alphas)
    weights = {p: mixing(net().decisions[p], (a + shift[p]) / 1.0) for p, a in naive.alphas.items()}
    torch.testing.assert_close(ours, naive(x, weights))
    torch.testing.assert_close(soft.eval()(x), naive.eval()(x))


def test_cold_hard_gumbel_has_no_gradient_left_and_a_warm_one_has() -> None:
    """At a low temperature the soft weights are nearly one-hot: their gradient vanishes."""
    sizes = {}
    for heat in (0.01, 1.0):
        hard = one_of_each(Gumbel(hard=True, temperature=Constant(value=heat)))
        torch.manual_seed(4)
        hard(torch.randn(4, 1, 8, 8)).square().sum().backward()
        sizes[heat] = sum(float(a.grad.abs().sum()) for a in hard.alphas.values() if a.grad is not None)
    assert sizes[0.01] < 1e-3 * sizes[1.0]


# ---------------------------------------------------------------- the score function


def test_alphas_move_towards_what_does_better() -> None:
    """The loss depends on the architecture alone, here on its width: the score function finds the best."""
    sampled = sampling()
    optimizer = torch.optim.SGD([sampled.alphas["Net.w"]], 0.5)
    decisions = net().decisions
    for _ in range(150):
        width = decisions["Net.w"].numbers[sampled.draw_for_alphas()["Net.w"][0]]
        loss = sampled.objective(torch.tensor(float(width)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(sampled.alphas["Net.w"].detach().softmax(0)[0]) > 0.8
    assert sampled.chosen()["Net.w"] == (0,)
    assert 4 <= float(sampled.baseline) < 5


def test_the_estimate_is_the_gradient_of_the_expected_loss() -> None:
    """With every architecture weighed by its probability, against autograd of the expectation."""
    sampled = sampling()
    with torch.no_grad():
        sampled.alphas["Net.w"].copy_(torch.tensor([0.3, -0.2, 0.5]))
    alpha, values = sampled.alphas["Net.w"], torch.tensor([3.0, 1.0, 2.0])
    (expected,) = torch.autograd.grad((alpha.softmax(0) * values).sum(), alpha)
    found = torch.zeros(3)
    clean = sampled.logits()
    base = {p: (0,) * max(d.least, 1) for p, d in net().decisions.items()}
    for item in range(3):
        log_p = log_probability(net().decisions, clean, clean, {**base, "Net.w": (item,)}, ["Net.w"])
        (score,) = torch.autograd.grad(log_p, alpha, retain_graph=True)
        found += float(log_p.detach().exp()) * (values[item] - 7.0) * score
    torch.testing.assert_close(found, expected)


def test_the_alpha_pass_trains_no_weight_and_keeps_the_baseline() -> None:
    sampled = sampling()
    x = torch.randn(2, 1, 8, 8)
    with frozen(sampled.weights()):
        first = sampled(x).square().mean()
        loss = sampled.objective(first)
        torch.testing.assert_close(loss.detach(), first)  # it is its own baseline
        torch.testing.assert_close(sampled.baseline.detach(), first)
        sampled.objective(sampled(x).square().mean()).backward()
    assert all(weight.grad is None for weight in sampled.weights())
    assert any(alpha.grad is not None for alpha in sampled.alphas.values())
    assert sampled.judged == []


# ---------------------------------------------------------------- runs (law 6)

FAKE = Fake(classes=3, count=48, channels=1, size=8)


def settings_of(relax: Relaxation) -> SearchSettings:
    return SearchSettings(
        data=FAKE,
        epochs=2,
        batch=8,
        weights=Sgd(lr=Cosine(start=0.05)),
        alphas=AlphaAdam(lr=Constant(value=0.05)),
        relax=relax,
    )


def run(out: Path, relax: Relaxation, stop_at: int | None = None, resume: bool = False) -> SearchOutcome:
    supernet = one_of_each(relax)
    calls = []

    def before(*_: object) -> None:
        calls.append(1)
        if len(calls) == stop_at:
            signal.raise_signal(signal.SIGTERM)

    supernet.register_forward_pre_hook(before)
    data = load_data(FAKE, Path("nowhere"))
    options = RunOptions(out, device="cpu", quiet=True, resume=resume)
    return run_search(supernet, data, settings_of(relax), options)


@pytest.mark.parametrize("relax", ALL, ids=said)
def test_broken_runs_go_on_as_if_nothing_had_happened(tmp_path: Path, relax: Relaxation) -> None:
    whole = run(tmp_path / "whole", relax)
    again = run(tmp_path / "again", relax)
    with pytest.raises(RunInterruptedError):
        run(tmp_path / "broken", relax, stop_at=5)
    resumed = run(tmp_path / "broken", relax, resume=True)
    for other in (again, resumed):
        assert other.decisions == whole.decisions
        assert all(torch.equal(other.alphas[path], alpha) for path, alpha in whole.alphas.items())
        assert [r.scalars for r in other.history] == [r.scalars for r in whole.history]
    start = one_of_each(relax).alphas
    assert any(not torch.equal(alpha, start[path]) for path, alpha in whole.alphas.items())


# ---------------------------------------------------------------- settings


def test_spaces_that_cannot_be_mixed_are_refused_by_those_that_mix() -> None:
    unmixable = space("autoformer_tiny.hsp", size=32, classes=10)
    for relax in (Gumbel(), *ONE_PATH):
        settings = SearchSettings(relax=relax)
        if relax.mixes:
            with pytest.raises(HspError, match="relax = sample"):
                relaxed(unmixable, settings)
        else:
            assert relaxed(unmixable, settings)(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_a_temperature_stays_above_zero() -> None:
    cold = Applied("gumbel", (), {"temperature": Applied("ramp", (5, 0))})
    _, diagnostics = read_search({"relax": (cold, NOWHERE)})
    assert "reaches 0" in diagnostics[0].message


def test_every_relaxation_has_its_class() -> None:
    found = [type(one_of_each(relax)) for relax in (Softmax(), Gumbel(), Gumbel(hard=True), Sample())]
    assert found == [Supernet, Supernet, HardGumbel, Sampled]


def test_a_supernet_that_has_run_may_move() -> None:
    """What is remembered of architectures does not hold on to tensors that `to` replaces, such as statistics."""
    sampled = sampling(share=True)
    chosen = sampled.draw(sampled.logits()).chosen
    x = torch.randn(4, 1, 8, 8)
    sampled(x, chosen)
    sampled.double()
    before = {name: buffer.clone() for name, buffer in sampled.network.named_buffers()}
    assert sampled(x.double(), chosen).dtype is torch.float64
    assert any(not torch.equal(buffer, before[name]) for name, buffer in sampled.network.named_buffers())
    again = copy.deepcopy(sampled)
    torch.testing.assert_close(again.eval()(x.double(), chosen), sampled.eval()(x.double(), chosen))
    assert not {id(p) for p in again.parameters()} & {id(p) for p in sampled.parameters()}
