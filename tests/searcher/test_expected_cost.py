"""The expected cost of a supernet, against drawing every architecture; and searches that minimise it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler import api
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.quantities import Total
from compiler.program.compile_file import compile_file
from compiler.searcher.relaxations.expected_cost import Expectation
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import mixing, one_hot
from compiler.util.errors import UsageError
from tests.analysis.test_constrained import every, random_alphas
from tests.support.programs import random_decisions, space
from tests.support.random_spaces import spaces


def expectation(searched: Elaborated, name: str, argument: str | None = None) -> Expectation:
    formula = Requirements(searched).formula(QuantityRef(Total(name, argument)))
    return Expectation(formula, searched.decisions)


def probability(decision: Decision, items: tuple[int, ...], alphas: torch.Tensor | None) -> float:
    """Of taking just these items: among those that can be derived, or any of n alike, as many as may be."""
    if alphas is None and len(items) < decision.most:
        return 0.0
    if alphas is None:
        return 1 / math.comb(len(decision.items), decision.most)
    if decision.independent:
        return math.prod(float(p if i in items else 1 - p) for i, p in enumerate(alphas.sigmoid()))
    kept = [float(a) for a, derivable in zip(alphas.exp(), decision.derivable, strict=True) if derivable]
    return float(alphas[items[0]].exp()) / sum(kept)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.sampled_from(("params", "memory")), st.integers(0, 99))
def test_it_is_the_mean_over_all_architectures(text: str, name: str, seed: int) -> None:
    """Exactly, where a pick with parameters is one of several (then they are exclusive)."""
    searched = space(text)
    picks = [
        d
        for d in searched.decisions.values()
        if d.kind is DecisionKind.PICK and not d.candidates and d.bounded and not d.takes_one
    ]
    assume(searched.decisions and not picks and next(every(searched), None) is not None)
    alphas = {path: torch.tensor(a, dtype=torch.float64) for path, a in random_alphas(searched, seed).items()}
    formula = Requirements(searched).formula(QuantityRef(Total(name)))
    mean = 0.0
    for chosen in every(searched):
        p = math.prod(probability(d, chosen[path], alphas.get(path)) for path, d in searched.decisions.items())
        mean += p * formula.of(chosen)
    weights = {path: mixing(searched.decisions[path], alpha) for path, alpha in alphas.items()}
    assume(weights)
    assert float(expectation(searched, name)(weights)) == pytest.approx(mean, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("file", ["darts.hsp", "nasbench201.hsp", "nats_size.hsp", "ofa_mobilenetv3.hsp"])
def test_one_hot_weights_give_the_exact_cost(file: str) -> None:
    searched = space(file)
    chosen = random_decisions(searched, 5)
    weights = {path: weight.double() for path, weight in one_hot(searched.decisions, chosen).items()}
    wanted = Requirements(searched)
    for name in ("params", "macs", "memory"):
        assert float(expectation(searched, name)(weights)) == wanted.amount(QuantityRef(Total(name)), chosen)


SPACE = """hsp 1

network Net(image: [1, 8, 8]) {
  a = image -> conv(3, 4) -> batch_norm -> relu
  b = a -> (conv(k = 1) | conv(k = 3) | conv(k = 5)) -> batch_norm
  output b -> (conv(k = 1) | conv(k = 3)) -> classifier(10)
  STATED
}

search Net {
  data = digits
  epochs = 2
  alphas = adam(lr = 0.2)
  SECTION
}
"""


def stated(text: str = "", section: str = "") -> Elaborated:
    program, diagnostics = compile_file("x.hsp", text=SPACE.replace("STATED", text).replace("SECTION", section))
    assert program is not None, [d.render() for d in diagnostics]
    return program.phases[0].network


def costs_of(alphas: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Expected parameters of SPACE, by hand."""
    first, second = (alpha.softmax(0) for alpha in alphas.values())
    fixed = 4 * 9 + 2 * 4 * 2 + 10 * 5
    return fixed + 16 * (first @ torch.tensor([1.0, 9.0, 25.0])) + 16 * (second @ torch.tensor([1.0, 9.0]))


def test_gradients_of_preferences() -> None:
    supernet = Supernet(stated("minimize params / 1K weight 0.5", "maximize log(params) ** 2 weight 0.1"), init=1.0)
    alphas = dict(supernet.alphas)
    terms = supernet.preferences()
    assert list(terms) == ["preference Net", "preference Net 2"]
    params = costs_of(alphas)
    expected = 0.5 * params / 1000, -0.1 * params.log() ** 2
    for found, wanted in zip(terms.values(), expected, strict=True):
        torch.testing.assert_close(found, wanted)
        ours = torch.autograd.grad(found, list(alphas.values()), retain_graph=True)
        torch.testing.assert_close(ours, torch.autograd.grad(wanted, list(alphas.values()), retain_graph=True))
    assert supernet.scores()["params"] == pytest.approx(float(params.detach()))


def test_a_statement_about_the_loss_takes_its_place() -> None:
    """FBNet's loss: the cross entropy times a power of the logarithm of a cost."""
    supernet = Supernet(stated(section="minimize loss * 0.2 * log(params) ** 0.6"), init=1.0)
    assert supernet.preferences() == {}
    loss = torch.tensor(1.5, requires_grad=True)
    found = supernet.objective(loss)
    expected = loss * 0.2 * costs_of(dict(supernet.alphas)).log() ** 0.6
    torch.testing.assert_close(found, expected)
    everything = [loss, *supernet.alphas.values()]
    torch.testing.assert_close(torch.autograd.grad(found, everything), torch.autograd.grad(expected, everything))
    assert Supernet(stated()).objective(loss) is loss


@pytest.mark.parametrize(
    ("section", "items"),
    [
        ("minimize loss * params weight 10", (0, 0)),
        ("maximize params / 100 weight 10", (2, 1)),
        ("minimize params / 100 weight 10\n  preferences = apart", (0, 0)),
    ],
)
def test_searches_follow_them(tmp_path: Path, section: str, items: tuple[int, int]) -> None:
    path = tmp_path / "space.hsp"
    path.write_text(SPACE.replace("STATED", "").replace("SECTION", section))
    text = api.search(path, tmp_path / "run", seed=0).text
    kernels = [(1, 3, 5)[items[0]], (1, 3)[items[1]]]
    assert [f"b = a -> conv(k = {kernels[0]})" in text, f"output b -> conv(k = {kernels[1]})" in text] == [True, True]


def test_a_cost_without_a_table_is_refused() -> None:
    with pytest.raises(UsageError, match=r'prefers, `latency\("t.csv"\)`, has no expectation: .*hdas-measure'):
        Supernet(stated('minimize latency("t.csv") weight 1'))
