"""Natural gradients of alphas: what a draw is worth, and where a step leads."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from compiler.searcher.engine.natural import NaturalGradient, utilities


@pytest.mark.parametrize(
    ("losses", "worth"),
    [
        ([2.0, 1.0], [-1.0, 1.0]),
        ([1.0, 1.0], [0.0, 0.0]),
        ([3.0, 1.0, 2.0, 4.0], [0.0, 1.0, 0.0, -1.0]),
        ([1.0, 1.0, 2.0, 3.0], [0.5, 0.5, 0.0, -1.0]),
        ([6.0, 5.0, 4.0, 3.0, 2.0, 1.0], [-0.5, -0.5, 0.0, 0.0, 0.5, 0.5]),
    ],
)
def test_a_quarter_is_good_and_a_quarter_bad(losses: list[float], worth: list[float]) -> None:
    assert utilities(torch.tensor(losses, dtype=torch.float64)).tolist() == worth


def choices(counts: tuple[int, ...] = (3, 4, 3, 2, 3)) -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(0.1 * torch.randn(count, dtype=torch.float64)) for count in counts]


def stepped(
    alphas: list[nn.Parameter], optimizer: NaturalGradient, better: list[int], worse: list[int]
) -> list[Tensor]:
    """The change of the probabilities by a step on two ranked draws, without the floors."""
    before = [alpha.detach().softmax(0) for alpha in alphas]
    scores = sum(
        alpha.log_softmax(0)[b] - alpha.log_softmax(0)[w] for alpha, b, w in zip(alphas, better, worse, strict=True)
    )
    assert isinstance(scores, Tensor)
    for alpha, gradient in zip(alphas, torch.autograd.grad(-scores / 2, alphas), strict=True):
        alpha.grad = gradient
    optimizer.step()
    return [alpha.detach().softmax(0) - p for alpha, p in zip(alphas, before, strict=True)]


def test_two_draws_step_from_the_worse_to_the_better_by_a_fisher_norm() -> None:
    """The norm is by the Fisher matrix of a categorical distribution, diag(1 / theta) + 1 / theta_K, written out."""
    alphas = choices()
    theta = [alpha.detach().softmax(0) for alpha in alphas]
    better, worse = [0, 1, 2, 0, 1], [1, 1, 0, 1, 1]
    found = stepped(alphas, NaturalGradient(alphas, 1.5, lr=0.05), better, worse)
    norm = torch.zeros((), dtype=torch.float64)
    for change, p in zip(found, theta, strict=True):
        fisher = torch.diag(1 / p[:-1]) + 1 / p[-1]
        norm += change[:-1] @ fisher @ change[:-1]
    torch.testing.assert_close(norm.sqrt(), torch.tensor(0.05).double())
    ratios = []
    for change, b, w in zip(found, better, worse, strict=True):
        direction = torch.zeros_like(change)
        direction[b] += 1
        direction[w] -= 1
        ratios.append(float(change @ direction))
        torch.testing.assert_close(change, change @ direction / 2 * direction, rtol=0, atol=1e-12)
    assert max(ratios) == pytest.approx(ratios[0])
    assert ratios[1] == ratios[4] == pytest.approx(0)


def test_equal_losses_move_nothing() -> None:
    alphas = choices()
    before = [alpha.detach().clone() for alpha in alphas]
    optimizer = NaturalGradient(alphas, 1.5)
    for alpha in alphas:
        alpha.grad = torch.zeros_like(alpha)
    optimizer.step()
    assert all(torch.equal(alpha.detach(), was) for alpha, was in zip(alphas, before, strict=True))
    state = optimizer.state[alphas[0]]
    assert (float(state["gamma"]), float(state["Delta"])) == (0, 1)


def test_probabilities_keep_their_sum_and_their_floors() -> None:
    alphas = choices()
    optimizer = NaturalGradient(alphas, 1.5)
    for number in range(30):
        stepped(alphas, optimizer, [0, 1, 2, 0, 1], [(number + i) % 2 + (i != 3) for i in range(5)])
        for alpha in alphas:
            theta = alpha.detach().softmax(0)
            torch.testing.assert_close(alpha.detach().exp().sum(), torch.tensor(1.0).double())
            assert float(theta.min()) >= 1 / (5 * (len(alpha) - 1)) - 1e-12
    assert any(float(a.detach().softmax(0).min()) < 1 / (5 * (len(a) - 1)) + 1e-9 for a in alphas)


def test_steps_that_agree_grow_and_steps_that_cancel_shrink() -> None:
    """Delta divides the step."""
    growth = []
    for agree in (True, False):
        alphas = choices((8,) * 40)
        optimizer = NaturalGradient(alphas, 1.5, lr=0.02)
        for number in range(60):
            ways = [0] * 40, [1] * 40
            stepped(alphas, optimizer, *(ways if agree or number % 2 else ways[::-1]))
        growth.append(float(optimizer.state[alphas[0]]["Delta"]))
    assert growth[0] < 1 < growth[1]
