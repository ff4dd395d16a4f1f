"""Derivation under requirements: the best-scoring architecture that satisfies them, proved by enumeration."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import combinations, product
from math import prod
from operator import le

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.costs.elimination import Variables, range_of
from compiler.analysis.requirements import label_elimination
from compiler.analysis.requirements import pareto_labels as labels
from compiler.analysis.requirements.constrained import best
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.analysis.requirements.problem import UnsatisfiableError
from compiler.analysis.requirements.score import score_of, scores_of
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.existence import Monomial
from compiler.ir.quantities import Total
from compiler.searcher.settings.derivation import By
from tests.support.programs import SPACES, architecture, space
from tests.support.random_spaces import spaces

MOST = 500


def ways(decision: Decision) -> list[tuple[int, ...]]:
    items = range(len(decision.items))
    if decision.kind is DecisionKind.PICK:
        return [c for k in range(decision.least, decision.most + 1) for c in combinations(items, k)]
    return [(item,) for item in items if decision.derivable[item]]


def every(searched: Elaborated) -> Iterator[Selection]:
    """All decisions, those that do not matter included; nothing where there are too many."""
    options = [ways(decision) for decision in searched.decisions.values()]
    if prod(map(len, options)) <= MOST:
        for chosen in product(*options):
            yield dict(zip(searched.decisions, chosen, strict=True))


def random_alphas(searched: Elaborated, seed: int) -> dict[str, list[float]]:
    source = random.Random(seed)
    return {path: [source.gauss(0, 1) for _ in d.items] for path, d in searched.decisions.items() if d.alphas}


def requiring(text: str, condition: str) -> Elaborated:
    """A program whose network, its last definition, also requires something."""
    return space(text.rstrip().removesuffix("}") + f"  require {condition}\n}}\n")


def reference(searched: Elaborated, wanted: Requirements, scores: dict[Monomial, float]) -> float | None:
    """The best score by enumeration; costs are those of the derived network."""
    found = [score_of(scores, chosen) for chosen in every(searched) if wanted.met(chosen)]
    return max(found, default=None)


CONDITIONS = (
    "memory <= {memory}",
    "params <= {params} and memory <= {memory}",
    "memory >= {memory}",
    "memory <= {memory} or params <= {params}",
    "2 * params + memory / 4 < {memory} / 4",
    "count(unit) <= 1",
    "count(unit) == 1 and memory > {memory} / 2",
    "not params > {params}",
)


@settings(max_examples=70, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spaces(mixable=True),
    st.sampled_from(CONDITIONS),
    st.sampled_from(By),
    st.floats(0, 1),
    st.integers(0, 99),
)
def test_against_enumeration(text: str, condition: str, by: By, share: float, seed: int) -> None:
    plain = space(text)
    assume(plain.decisions and next(every(plain), None) is not None)
    bounds = {}
    for name in ("params", "memory"):
        span = range_of(Requirements(plain).formula(QuantityRef(Total(name))), Variables(plain.decisions))
        bounds[name] = int(span.low + share * (span.high - span.low))
    searched = requiring(text, condition.format(**bounds))
    alphas = random_alphas(searched, seed)
    wanted = Requirements(searched)
    scores = scores_of(searched.decisions, alphas, by)
    expected = reference(searched, wanted, scores)
    if expected is None:
        with pytest.raises(UnsatisfiableError):
            best(wanted, alphas, by)
        return
    answer = best(wanted, alphas, by)
    assert wanted.met(answer.chosen)
    assert answer.gap == 0
    assert answer.score == pytest.approx(expected, abs=1e-9)
    assert answer.score == pytest.approx(score_of(scores, answer.chosen), abs=1e-9)
    free = strongest(searched.decisions, alphas, by)
    if wanted.met(free):
        assert answer.chosen == free
    assert answer.score <= answer.free + 1e-9
    _, derived = architecture(searched, answer.chosen)
    assert wanted.amount(QuantityRef(Total("memory")), answer.chosen) == Costs().block(derived.block).memory


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.sampled_from(By), st.integers(0, 99))
def test_the_derivation_rule_is_the_best_without_requirements(text: str, by: By, seed: int) -> None:
    searched = space(text)
    assume(searched.decisions and next(every(searched), None) is not None)
    alphas = random_alphas(searched, seed)
    scores = scores_of(searched.decisions, alphas, by)
    top = max(score_of(scores, chosen) for chosen in every(searched))
    assert score_of(scores, strongest(searched.decisions, alphas, by)) == pytest.approx(top, abs=1e-9)


def test_nasbench201_under_a_budget() -> None:
    """All 15,625 architectures by hand: 15 cells, three widths."""
    searched = space("nasbench201.hsp")
    formula = Requirements(searched).formula(QuantityRef(Total("params")))
    budget = 400_000
    wanted = Requirements(requiring_file("nasbench201.hsp", f"params <= {budget}"))
    for seed in range(3):
        alphas = random_alphas(searched, seed)
        scores = scores_of(searched.decisions, alphas, By.PROBABILITY)
        paths = list(searched.decisions)
        found = max(
            score_of(scores, chosen)
            for items in product([(item,) for item in range(5)], repeat=6)
            if formula.of(chosen := dict[str, tuple[int, ...]](zip(paths, items, strict=True))) <= budget
        )
        answer = best(wanted, alphas, By.PROBABILITY)
        assert answer.score == pytest.approx(found)
        assert formula.of(answer.chosen) <= budget


def requiring_file(name: str, condition: str) -> Elaborated:
    text = (SPACES / name).read_text()
    at = text.index("network ")
    end = text.index("\n}\n", at)
    return space(f"{text[:end]}\n  require {condition}{text[end:]}")


def test_darts_under_a_budget_is_proved() -> None:
    """More than 1e18 architectures; the rule of DARTS for the inputs of nodes."""
    searched = requiring_file("darts.hsp", "params <= 200K and macs <= 40M")
    wanted = Requirements(searched)
    answer = best(wanted, random_alphas(searched, 0), By.PROBABILITY)
    assert wanted.met(answer.chosen)
    assert answer.gap == 0
    assert answer.score < answer.free


def test_a_gap_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With few labels the answer is not proved: it is a good one, and the bound holds for the best."""
    searched = requiring_file("nasbench201.hsp", "params <= 300K and macs <= 30M")
    wanted = Requirements(searched)
    gaps = []
    for seed in range(4):
        alphas = random_alphas(searched, seed)
        exact = best(wanted, alphas, By.PROBABILITY)
        assert exact.gap == 0
        for module, name, value in ((labels, "MOST", 2), (label_elimination, "LARGEST", 0)):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                answer = best(wanted, alphas, By.PROBABILITY)
            assert wanted.met(answer.chosen)
            assert answer.score <= exact.score + 1e-9 <= answer.bound + 2e-9
            gaps.append(answer.gap)
    assert max(gaps) > 0


def test_what_cannot_be_met_is_refused_with_the_least() -> None:
    searched = requiring_file("nasbench201.hsp", "params <= 73K")
    with pytest.raises(UnsatisfiableError, match=r"`params` at most 73,000: at least it is 73,306"):
        best(Requirements(searched), random_alphas(searched, 0), By.PROBABILITY)
    searched = requiring_file("nasbench201.hsp", "macs >= 1G")
    with pytest.raises(UnsatisfiableError, match=r"`macs` at least 1,000,000,000: at most it is 220,119,680"):
        best(Requirements(searched), random_alphas(searched, 0), By.PROBABILITY)
    searched = requiring_file("nasbench201.hsp", "params >= 1M and macs <= 10M")
    with pytest.raises(UnsatisfiableError, match="meets `params >= 1M and macs <= 10M`"):
        best(Requirements(searched), random_alphas(searched, 0), By.PROBABILITY)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(0, 60), st.integers(1, 8), st.integers(0, 99))
def test_what_no_label_dominates_is_kept(costs: int, number: int, spread: int, seed: int) -> None:
    """Against comparing every pair, across the borders of chunks."""
    source = np.random.default_rng(seed)
    made = labels.Labels(
        source.integers(0, spread, number).astype(float),
        source.integers(0, spread, (number, costs)).astype(float),
        np.arange(number)[:, None],
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(labels, "CHUNK", 7)
        kept = made.pruned(np.full(costs, spread / 2))
    points = {
        (float(s), *map(float, c)) for s, c in zip(made.scores, made.costs, strict=True) if (c <= spread / 2).all()
    }
    best_points = {p for p in points if not any(q != p and q[0] >= p[0] and all(map(le, q[1:], p[1:])) for q in points)}
    found = [(float(s), *map(float, c)) for s, c in zip(kept.scores, kept.costs, strict=True)]
    assert sorted(found) == sorted(best_points)
    assert kept.certain
