"""What a search asks of a supernet beside its logits: preferred quantities, entropy, the leading architecture."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TypeVar

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from compiler.derivation.strongest import default_decisions, strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind
from compiler.ir.quantities import Depth, DepthForm, Length
from compiler.searcher.relaxations.objective import RelaxedQuantities
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import mixing, one_hot
from compiler.searcher.settings.derivation import By
from tests.reference.depth import depth_raw, depth_window, expected_cells
from tests.reference.networks import window
from tests.support.programs import space

CELLS = 6


@cache
def stage() -> Elaborated:
    return space("hdas_stages.hsp", c=2, stages=1, size=8)


@cache
def open_stage() -> Elaborated:
    return space("hdas_dist.hsp", "Hdas", c=2, stages=1, size=8, Stage="Open", cells=8)


def rows(copy: str, cells: int) -> list[str]:
    """Paths of a stage's edges, in the order of the rows of the reference's alphas."""
    sources = ["a", "b", *(f"s{i}" for i in range(cells))]
    return [f"{copy}.s{j}.mix.from_{sources[i]}" for j in range(cells) for i in window(j)]


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


Kind = TypeVar("Kind", Depth, Length)


def quantity(searched: Elaborated, kind: type[Kind]) -> Kind:
    (found,) = (p.quantity for p in searched.preferences if isinstance(p.quantity, kind))
    return found


def drawn(searched: Elaborated, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return {
        path: torch.randn(d.alphas, dtype=torch.float64, requires_grad=True)
        for path, d in searched.decisions.items()
        if d.alphas
    }


def weights_of(searched: Elaborated, alphas: dict[str, Tensor]) -> dict[str, Tensor]:
    return {path: mixing(searched.decisions[path], alpha) for path, alpha in alphas.items()}


def measured(searched: Elaborated, what: Depth | Length, alphas: dict[str, Tensor]) -> Tensor:
    return RelaxedQuantities(searched.decisions, alphas).value(what)


# ---------------------------------------------------------------- depth and length


def case(name: str) -> tuple[Elaborated, Depth, str, int]:
    if name == "ends":
        return open_stage(), quantity(open_stage(), Depth), "Open@0", 8
    return stage(), replace(quantity(stage(), Depth), form=DepthForm(name)), "Stage@0", CELLS


def reference(name: str, table: Tensor, betas: Tensor | None, cells: int) -> Tensor:
    return depth_raw(table, cells) if name == "raw" else depth_window(table, cells, betas)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["raw", "window", "ends"])
def test_depth_and_its_gradient(name: str, seed: int) -> None:
    searched, what, copy, cells = case(name)
    alphas = drawn(searched, seed)
    table = torch.stack([alphas[path].detach() for path in rows(copy, cells)]).requires_grad_()
    betas = alphas[f"{copy}.s"].detach().clone().requires_grad_() if name == "ends" else None
    ours, theirs = measured(searched, what, alphas), reference(name, table, betas, cells)
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=0)
    ours.backward()
    theirs.backward()
    torch.testing.assert_close(torch.stack([gradient(alphas[path]) for path in rows(copy, cells)]), table.grad)
    if betas is not None:
        torch.testing.assert_close(alphas[f"{copy}.s"].grad, betas.grad)


@pytest.mark.parametrize("name", ["raw", "window", "ends"])
def test_depth_against_finite_differences(name: str) -> None:
    searched, what, _, _ = case(name)
    alphas = drawn(searched, 7)
    measured(searched, what, alphas).backward()
    for path in list(alphas)[::5] + list(alphas)[-1:]:
        for item in range(len(alphas[path])):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {name: alpha.detach().clone() for name, alpha in alphas.items()}
                moved[path][item] += step
                ends.append(float(measured(searched, what, moved)))
            grad = alphas[path].grad
            expected = 0.0 if grad is None else float(grad[item])
            assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(expected, abs=1e-7)


def test_depth_by_hand() -> None:
    """Equal alphas: c0 has (1/2 + 1/2) / 2; the others a third of the mean of what their windows add up to."""
    searched, what, _, _ = case("window")
    alphas = {path: torch.zeros(d.alphas) for path, d in searched.decisions.items() if d.alphas}
    states = [0.0, 0.0]
    for j in range(CELLS):
        reads = [states[i] for i in window(j)]
        states.append(sum((d + 1) / len(reads) for d in reads) / len(reads))
    assert float(RelaxedQuantities(searched.decisions, alphas).depth(what)) == pytest.approx(sum(states[2:]) / CELLS)


def test_none_has_no_part_in_the_bounded_depth() -> None:
    searched, what, copy, _ = case("window")
    alphas = drawn(searched)
    before = float(measured(searched, what, alphas).detach())
    for path in rows(copy, CELLS):
        alphas[path].data[0] = 100.0
    assert float(measured(searched, what, alphas).detach()) == before


def test_expected_length() -> None:
    what = quantity(open_stage(), Length)
    alphas = drawn(open_stage())
    torch.testing.assert_close(measured(open_stage(), what, alphas), expected_cells(alphas["Open@0.s"], 4))
    alphas["Open@0.s"].data.copy_(torch.tensor([-100.0, -100, 100, -100, -100]))
    assert float(measured(open_stage(), what, alphas).detach()) == pytest.approx(6)


def test_preferences_are_weighted_and_signed() -> None:
    net = Supernet(open_stage(), init=1.0)
    found, scores = net.preferences(), net.scores()
    assert list(found) == list(scores) == ["depth Open@0", "length Open@0"]
    assert float(found["depth Open@0"].detach()) == pytest.approx(-scores["depth Open@0"])
    assert float(found["length Open@0"].detach()) == pytest.approx(0.4 * scores["length Open@0"])
    sum(found.values(), torch.zeros(())).backward()
    assert all(alpha.grad is not None for alpha in net.alphas.values())


# ---------------------------------------------------------------- weights, entropy

CHOICES = """\
hsp 1
op unit(x; k = 1) = x -> conv(k) -> batch_norm
op none(x) = zero(x)
choice Op = none if relaxed | unit | identity

network Net(x: [3, 8, 8]) {
  y = unit(x)
  z = unit(x)
  edge = sum(pick 2 of Op(each (x, y, z)))
  plain = sum(pick 2 of (x, y, z))
  many = sum(x, pick any of (y, z))
  s[i < 1 | 2 | 3] = prev(edge + plain + many) -> unit(k = 1 | 3)
  output last of s
}
"""


@cache
def choices() -> Elaborated:
    return space(CHOICES)


PLAIN, MANY, SIZE, NODE = "Net.plain.in", "Net.many.in", "Net.s", "Net.edge.in"


def test_mixing() -> None:
    net = Supernet(choices(), init=1.0)
    for path, weight in net.mixing().items():
        total = {PLAIN: 2.0}.get(path, 1.0)
        if path != MANY:
            assert float(weight.detach().sum()) == pytest.approx(total)
    torch.testing.assert_close(net.mixing()[MANY], net.alphas[MANY].sigmoid())
    assert NODE not in net.alphas


def test_entropy() -> None:
    net = Supernet(choices(), init=0.0)
    assert net.entropy() == pytest.approx({"network": 1.0, "Net": 1.0}, abs=1e-6)
    for path, alpha in net.alphas.items():
        alpha.data.copy_(torch.full_like(alpha, 200.0) if path == MANY else 200.0 * torch.eye(len(alpha))[0])
    assert net.entropy() == pytest.approx({"network": 0.0, "Net": 0.0}, abs=1e-6)


def test_entropy_lies_between() -> None:
    net = Supernet(choices(), init=1.0)
    assert 0 < net.entropy()["Net"] < 1


# ---------------------------------------------------------------- the strongest


def flat(searched: Elaborated, **changes: list[float]) -> dict[str, list[float]]:
    """Equal alphas but for those given, `__` standing for the dots of their paths."""
    alphas = {path: [0.0] * len(d.items) for path, d in searched.decisions.items()}
    return alphas | {f"Net.{path.replace('__', '.')}": values for path, values in changes.items()}


def test_logit_and_probability_choose_differently() -> None:
    """The share of `none` lowers a probability, not a raw alpha: x has the larger alpha, y and z the larger shares."""
    found = flat(choices(), edge__from_x=[5, 3, 0], edge__from_y=[0, 2, 0], edge__from_z=[0, 1, 0])
    assert strongest(choices().decisions, found, By.LOGIT)[NODE] == (0, 1)
    assert strongest(choices().decisions, found, By.PROBABILITY)[NODE] == (1, 2)


def test_none_is_never_derived() -> None:
    found = flat(choices(), edge__from_x=[9, -5, -4], edge__from_y=[9, 0, 0], edge__from_z=[9, 1, 0])
    for by in By:
        chosen = strongest(choices().decisions, found, by)
        assert [chosen[f"Net.edge.from_{source}"] for source in "xyz"] == [(2,), (1,), (1,)]
        assert chosen[NODE] == (1, 2)


def test_ties_go_to_the_first() -> None:
    chosen = default_decisions(choices().decisions)
    assert chosen[NODE] == chosen[PLAIN] == (0, 1)
    assert chosen[SIZE] == (0,)
    assert chosen[MANY] == ()  # more than a half, or not at all
    assert chosen["Net.edge.from_x"] == (1,)  # the first is `none`


def test_picks_are_in_the_order_of_the_source() -> None:
    assert strongest(choices().decisions, flat(choices(), plain__in=[1, 0, 2]), By.LOGIT)[PLAIN] == (0, 2)
    assert strongest(choices().decisions, flat(choices(), many__in=[-1, 1]), By.LOGIT)[MANY] == (1,)


numbers = st.floats(-20, 20, allow_nan=False)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_strongest_is_an_architecture(data: st.DataObject) -> None:
    """Items that can be derived, as many as are picked, none stronger left out."""
    decisions = choices().decisions
    alphas = {
        p: data.draw(st.lists(numbers, min_size=len(d.items), max_size=len(d.items))) for p, d in decisions.items()
    }
    chosen = strongest(decisions, alphas, data.draw(st.sampled_from(By)))
    for path, decision in decisions.items():
        items = chosen[path]
        assert items == tuple(sorted(set(items)))
        assert all(decision.derivable[item] for item in items)
        if decision.independent:
            assert items == tuple(i for i, alpha in enumerate(alphas[path]) if alpha > 0)
        else:
            assert len(items) == decision.most
        if decision.kind is not DecisionKind.PICK:
            others = [a for a, derivable in zip(alphas[path], decision.derivable, strict=True) if derivable]
            assert alphas[path][items[0]] == max(others)


def test_chosen_reads_the_alphas() -> None:
    net = Supernet(choices(), init=0.0)
    net.alphas[PLAIN].data.copy_(torch.tensor([0.0, 1.0, 2.0]))
    assert net.chosen()[PLAIN] == (1, 2)
    assert net.decisions()[PLAIN] == "y + z"
    assert net.chosen({path: -alpha for path, alpha in net.alphas.items()})[PLAIN] == (0, 1)


def test_one_hot_is_zero_on_edges_not_picked() -> None:
    chosen = default_decisions(choices().decisions)
    weights = one_hot(choices().decisions, chosen)
    assert weights["Net.edge.from_x"].tolist() == [0, 1, 0]
    assert weights["Net.edge.from_z"].tolist() == [0, 0, 0]
    assert weights[PLAIN].tolist() == [1, 1, 0]


def test_an_inner_cell_may_be_called_like_an_input() -> None:
    text = """hsp 1
cell Inner(x) {
  output (relu | gelu)(x) + x
}

cell Outer(x) {
  v = Inner(x)
  output Inner(v) + x
}

network Net(x: [3, 8, 8]) {
  v = x + relu(x)
  output (Outer(v) + v) -> classifier(10)
}
"""
    assert Supernet(space(text))(torch.zeros(2, 3, 8, 8)).shape == (2, 10)
