"""What is drawn runs with weights straight through: laws of idle items, of several draws, of what may be combined."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.relaxations import Gates, HardGumbel, relaxed
from compiler.searcher.relaxations.gumbel import drawn_items, largest
from compiler.searcher.relaxations.mixtures import ReluMixture
from compiler.searcher.settings.relaxation import Gates as GatesWord
from compiler.searcher.settings.relaxation import Gumbel, Idle, Picks, Shares
from compiler.searcher.settings.sections import SearchSettings, read_search
from compiler.searcher.settings.words import Applied
from hdas_dsl.text.source import NOWHERE
from tests.support.programs import randomize, space

PICKS = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 1 of Op(each (stem, stem -> relu)))
  output sum(n) -> classifier(classes)
}
"""
ONE = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
network Net(image: [1, 8, 8]; classes = 3) {
  output image -> conv(3, 4) -> (unit | unit(k = 3) | identity) -> classifier(classes)
}
"""


def hard(found: Elaborated, **options: Any) -> HardGumbel:
    made = relaxed(found, SearchSettings(relax=Gumbel(hard=True, **options)))
    assert isinstance(made, HardGumbel)
    randomize(made)
    return made.double()


@pytest.mark.parametrize("idle", Idle)
def test_an_idle_weight_has_the_gradient_of_what_it_counts_as(idle: Idle) -> None:
    """Ones: the sum of the gradient of what the menu makes, found by adding a number to it. Zeros: none."""
    found = hard(space(ONE), idle=idle)
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    chosen: Selection = {"Net.output.choice": (1,)}
    soft = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    found.straight(images, chosen, {"Net.output.choice": soft})[:, 0].sum().backward()
    beside = torch.zeros((), dtype=torch.float64, requires_grad=True)
    module = next(part for name, part in found.network.named_modules() if name.endswith("global_pool"))
    module.register_forward_pre_hook(lambda _, inputs: (inputs[0] + beside,))
    found.operations.forget()
    found(images, chosen)[:, 0].sum().backward()
    assert beside.grad is not None
    assert soft.grad is not None
    assert float(beside.grad) != 0
    expected = beside.grad if idle is Idle.ONES else torch.zeros((), dtype=torch.float64)
    torch.testing.assert_close(soft.grad[[0, 2]], expected.expand(2))
    assert not torch.equal(soft.grad[1], expected)


def test_all_candidates_run_and_any_item_is_drawn() -> None:
    found = hard(space(PICKS), picks=Picks.ALL)
    decisions = found.space.decisions
    torch.manual_seed(0)
    seen: set[tuple[int, ...]] = set()
    for _ in range(40):
        chosen = drawn_items(decisions, found.logits()).chosen
        assert all(chosen[path] == (0, 1) for path, decision in decisions.items() if decision.candidates)
        seen |= {chosen[path] for path, decision in decisions.items() if not decision.candidates}
    assert seen == {(0,), (1,), (2,), (3,)}


@pytest.mark.parametrize("idle", Idle)
def test_many_draws_of_a_menu_weigh_its_items_alike(idle: Idle) -> None:
    """All are drawn then: the pass is that of equal mixing weights, with gradients for all alphas."""
    found = hard(space(PICKS), draws=60, picks=Picks.ALL, idle=idle)
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    torch.manual_seed(0)
    output = found(images)
    mixed = relaxed(found.space, SearchSettings()).double()
    mixed.network.load_state_dict(found.network.state_dict())
    same = mixed.train()(images, {path: torch.full((4,), 0.25).double() for path in found.item_alphas()})
    torch.testing.assert_close(output, same, rtol=0, atol=1e-9)
    output.square().sum().backward()
    assert all(alpha.grad is not None and bool(alpha.grad.any()) for alpha in found.alphas.values())


def test_the_largest_weight_of_draws_is_of_the_first_that_took_the_item() -> None:
    rows = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]])
    soft = torch.rand(3, 4, requires_grad=True)
    found = largest(rows, soft)
    assert found.tolist() == [1, 1, 0, 0]
    found.sum().backward()
    assert soft.grad is not None
    assert soft.grad.tolist() == [[1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_shares_are_what_is_above_zero() -> None:
    found = hard(space(ONE), logits=Shares.RELU)
    (alpha,) = found.alphas.values()
    with torch.no_grad():
        alpha.copy_(torch.tensor([3.0, -1.0, 1.0]))
    (logits,) = found.logits().values()
    torch.testing.assert_close(logits[[0, 2]].exp(), torch.tensor([0.75, 0.25]).double())
    torch.manual_seed(0)
    draws = [found.draw(found.logits()).chosen["Net.output.choice"] for _ in range(60)]
    assert set(draws) == {(0,), (2,)}
    (decision,) = found.space.decisions.values()
    dead: Tensor = ReluMixture().logarithms(decision, -torch.ones(3))
    assert len(set(dead.tolist())) == 1


def test_alphas_of_shares_start_around_one() -> None:
    found = relaxed(space(ONE), SearchSettings(relax=Gumbel(hard=True, logits=Shares.RELU)))
    assert all(bool(((alpha - 1).abs() < 0.01).all()) for alpha in found.alphas.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 2}, "need hard = true"),
        ({"idle": Applied("ones")}, "need hard = true"),
        ({"hard": True, "draws": 2}, "need picks = all"),
    ],
)
def test_what_a_soft_draw_cannot_say(options: dict[str, Any], message: str) -> None:
    _, (wrong,) = read_search({"relax": (Applied("gumbel", (), options), NOWHERE)})
    assert message in wrong.message


WIDTHS = """\
hsp 1
network Net(image: [1, 8, 8]; classes = 3) {
  output image -> conv(3, 4 | 6 | 8) -> classifier(classes)
}
"""


def test_gates_of_a_width_count_for_the_channels_that_run() -> None:
    """Each channel is weighed by the gates of the widths that reach it."""
    gates = relaxed(space(WIDTHS), SearchSettings(relax=GatesWord()))
    assert isinstance(gates, Gates)
    randomize(gates)
    gates.double()
    (path,) = gates.alphas
    images = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    logits = gates.through_gates(images, {path: (0, 2)}, {path: 2})
    alpha = gates.alphas[path]
    (found,) = torch.autograd.grad(logits[:, 0].sum(), [alpha])
    kernel, linear, bias = gates.network.parameters()
    opened = torch.tensor([0.0, 1.0], dtype=torch.float64, requires_grad=True)
    reach = torch.stack([torch.arange(8) < 4, torch.arange(8) < 8]).double()
    x = torch.nn.functional.conv2d(images, kernel, padding=1) * (opened @ reach).view(1, -1, 1, 1)
    plain = x.mean((2, 3)) @ linear.T + bias
    torch.testing.assert_close(plain, logits)
    (of_gates,) = torch.autograd.grad(plain[:, 0].sum(), [opened])
    p = alpha.detach()[[0, 2]].softmax(0)
    expected = p * (of_gates - (p * of_gates).sum())
    assert float(expected.abs().min()) > 0
    torch.testing.assert_close(found, torch.stack([expected[0], torch.zeros(()).double(), expected[1]]))
