"""The smallest and largest cost of a space: published figures, and all architectures of small spaces."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.analysis.costs import elimination as optimum
from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.costs.elimination import Range, Variables, maximum, minimum, range_of
from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.commands import compile as cli
from compiler.elaborate import Elaborated
from compiler.ir.quantities import Total
from hdas_dsl.text.diagnostics import HspError
from tests.analysis.test_constrained import every
from tests.support.programs import SPACES, architecture, space
from tests.support.random_spaces import spaces


def ranged(searched: Elaborated, name: str) -> Range:
    return range_of(Requirements(searched).formula(QuantityRef(Total(name))), Variables(searched.decisions))


NATS = str(SPACES / "nats_size.hsp")

PUBLISHED = {
    # Dong and Yang, NAS-Bench-201 (ICLR 2020), at 32x32 with 16 channels and 5 cells: over all 15,625 architectures.
    ("nasbench201.hsp", "params"): (73_306, 1_531_546),
    ("nasbench201.hsp", "macs"): (7_783_040, 220_119_680),
    # Its cell in a grammar of networks: the smallest network is the smallest of the benchmark's.
    ("hierarchical_nb201.hsp", "params"): (73_306, 5_286_106),
    ("hdas_stages.hsp", "macs"): (150_402_048, 150_402_048),
}


@pytest.mark.parametrize(("name", "quantity"), PUBLISHED)
def test_published(name: str, quantity: str) -> None:
    low, high = PUBLISHED[name, quantity]
    assert ranged(space(name), quantity) == Range(low, high)


@pytest.mark.parametrize("name", ["darts.hsp", "nats_size.hsp", "ofa_mobilenetv3.hsp", "fbnet.hsp"])
def test_they_are_reached(name: str) -> None:
    """The architectures at both ends, derived."""
    searched = space(name)
    formula = Requirements(searched).formula(QuantityRef(Total("macs")))
    variables = Variables(searched.decisions)
    terms = variables.factors(formula.terms.items())
    for find in (minimum, maximum):
        found = find(variables, *terms)
        assert found.exact
        assert found.states is not None
        chosen = variables.decisions(found.states)
        assert Costs().block(architecture(searched, chosen)[1].block).macs == found.value


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.sampled_from(("params", "macs", "memory")))
def test_against_enumeration(text: str, name: str) -> None:
    searched = space(text)
    assume(searched.decisions and next(every(searched), None) is not None)
    formula = Requirements(searched).formula(QuantityRef(Total(name)))
    costs = [formula.of(chosen) for chosen in every(searched)]
    assert range_of(formula, Variables(searched.decisions)) == Range(min(costs), max(costs))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.integers(1, 8))
def test_with_small_tables_it_is_a_bound(text: str, largest: int) -> None:
    searched = space(text)
    assume(searched.decisions)
    formula = Requirements(searched).formula(QuantityRef(Total("memory")))
    variables = Variables(searched.decisions)
    exact = range_of(formula, variables)
    terms = variables.factors(formula.terms.items())
    low, high = minimum(variables, *terms, largest=largest), maximum(variables, *terms, largest=largest)
    assert low.value <= exact.low
    assert exact.high <= high.value
    assert low.value == exact.low or not low.exact
    assert high.value == exact.high or not high.exact


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(prunes=True), st.sampled_from(("params", "memory")))
def test_pruned_spaces_lie_between_their_bounds(text: str, name: str) -> None:
    searched = space(text)
    assume(searched.decisions and next(every(searched), None) is not None)
    try:
        span = ranged(searched, name)
    except UndefinedQuantityError:
        assume(False)  # a width is open
    for count, chosen in enumerate(every(searched)):
        if count % 7:
            continue
        try:
            cost = getattr(Costs().block(architecture(searched, chosen)[1].block), name)
        except HspError:  # nothing is left
            continue
        assert span.low <= cost <= span.high


def test_a_bound_says_so(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def facts() -> dict[str, Any]:
        assert cli.compile_main([NATS, "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)["ranges"]["params"]
        return found

    assert facts() == {"min": 11_714, "max": 713_674}
    monkeypatch.setattr(optimum, "MOST_CASES", 8)
    found = facts()
    assert found["bounds"] == ["min", "max"]
    assert found["min"] <= 11_714
    assert found["max"] >= 713_674
    assert cli.compile_main([NATS]) == 0
    assert f"params at least {found['min']:,} to at most {found['max']:,}" in capsys.readouterr().out
