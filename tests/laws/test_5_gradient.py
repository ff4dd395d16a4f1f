"""The gradients and steps of bilevel search, against autograd and against closed forms (law 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compiler.backend.torch_modules.once_differentiable import TwiceDifferentiatedError
from compiler.searcher.engine.bilevel import Bilevel, Descent, Optimized, PreservedBuffers, first_order, second_order
from compiler.searcher.engine.gradients import Gradients, LossScale
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.sections import SearchSettings
from tests.support.programs import space


def randn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64)


class Quadratic:
    """A(w, a) = |w - Ba|^2 / 2 + a.c and W(w, a) = w.Hw / 2 + w.Ca."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.w, self.a = nn.Parameter(randn(5)), nn.Parameter(randn(3))
        root = randn(5, 5)
        self.b, self.c, self.h, self.cross = randn(5, 3), randn(3), root @ root.T, randn(5, 3)
        self.m = randn(5)

    def alpha_loss(self) -> Tensor:
        return (self.w - self.b @ self.a).square().sum() / 2 + self.a @ self.c

    def weight_loss(self) -> Tensor:
        return self.w @ self.h @ self.w / 2 + self.w @ self.cross @ self.a

    def closed_form(self, rate: float, momentum: float, decay: float) -> Tensor:
        """The gradient of A(w - rate (mu m + Hw + Ca + decay w), a) in a, all paths included."""
        w, a = self.w.detach(), self.a.detach()
        ahead = w - rate * (momentum * self.m + self.h @ w + self.cross @ a + decay * w)
        v = ahead - self.b @ a
        return -self.b.T @ v + self.c - rate * self.cross.T @ v


def test_first_order_is_autograds_gradient_at_the_present_weights() -> None:
    problem = Quadratic()
    (found,) = first_order(problem.alpha_loss, [problem.a])
    torch.autograd.backward(problem.alpha_loss())
    assert torch.equal(found, cast(Tensor, problem.a.grad))


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.9, 0.1)])
def test_second_order_is_the_closed_form_of_a_quadratic(momentum: float, decay: float) -> None:
    problem = Quadratic()
    descent = Descent(0.05, momentum, decay, [problem.m])
    (found,) = second_order(problem.alpha_loss, problem.weight_loss, [problem.a], [problem.w], descent)
    torch.testing.assert_close(found, problem.closed_form(0.05, momentum, decay), rtol=1e-9, atol=1e-9)
    (first,) = first_order(problem.alpha_loss, [problem.a])
    assert not torch.allclose(found, first)


def small_net(seed: int = 0) -> tuple[nn.Module, nn.Parameter, Callable[[int], Tensor]]:
    """A smooth network with batch norm, a mixing alpha, and a loss for each of several batches."""
    torch.manual_seed(seed)

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two, self.head = nn.Linear(4, 6), nn.Linear(4, 6), nn.Linear(6, 3)
            self.norm = nn.BatchNorm1d(6)
            self.mix = [nn.Parameter(torch.randn(2, dtype=torch.float64))]

        def forward(self, x: Tensor) -> Tensor:
            p = torch.softmax(self.mix[0], 0)
            logits: Tensor = self.head(torch.tanh(self.norm(p[0] * self.one(x) + p[1] * self.two(x))))
            return logits

    net = Net().double()
    batches = [(randn(16, 4), torch.randint(3, (16,))) for _ in range(2)]
    return net, net.mix[0], lambda i: cross_entropy(net(batches[i][0]), batches[i][1])


def test_second_order_matches_a_hessian_vector_product_on_a_network() -> None:
    net, alpha, loss = small_net()
    weights = list(net.parameters())
    rate = 0.1
    (found,) = second_order(lambda: loss(1), lambda: loss(0), [alpha], weights, Descent(rate), radius=1e-4)

    # autograd through the step itself
    slopes = torch.autograd.grad(loss(0), weights, create_graph=True)
    present = [w.detach().clone() for w in weights]
    ahead = [w - rate * g for w, g in zip(weights, slopes, strict=True)]
    with torch.no_grad():
        for w, value in zip(weights, ahead, strict=True):
            w.copy_(value)
    direct, *v = torch.autograd.grad(loss(1), [alpha, *weights])
    with torch.no_grad():
        for w, value in zip(weights, present, strict=True):
            w.copy_(value)
    slopes = torch.autograd.grad(loss(0), weights, create_graph=True)
    product = sum((g * way).sum() for g, way in zip(slopes, v, strict=True))
    (through,) = torch.autograd.grad(cast(Tensor, product), [alpha])
    torch.testing.assert_close(found, direct - rate * through, rtol=1e-7, atol=1e-9)
    assert not torch.allclose(found, direct, rtol=1e-3)


def test_second_order_leaves_weights_as_they_were_even_when_a_pass_fails() -> None:
    problem = Quadratic()
    before = problem.w.detach().clone()
    second_order(problem.alpha_loss, problem.weight_loss, [problem.a], [problem.w], Descent(0.05))
    assert torch.equal(problem.w, before)

    def fail() -> Tensor:
        raise MemoryError

    with pytest.raises(MemoryError):
        second_order(fail, problem.weight_loss, [problem.a], [problem.w], Descent(0.05))
    assert torch.equal(problem.w, before)


def test_second_order_takes_its_difference_on_the_same_random_numbers() -> None:
    problem = Quadratic()

    def noisy() -> Tensor:
        return problem.weight_loss() + torch.randn((), dtype=torch.float64) * problem.a.sum()

    (found,) = second_order(problem.alpha_loss, noisy, [problem.a], [problem.w], Descent(0.05, 0.0, 0.0))
    torch.testing.assert_close(found, problem.closed_form(0.05, 0.0, 0.0), rtol=1e-9, atol=1e-9)


def test_second_order_without_a_slope_is_the_direct_gradient() -> None:
    a, w = nn.Parameter(randn(3)), nn.Parameter(randn(3))
    (found,) = second_order(lambda: a.square().sum(), lambda: (a * w).sum(), [a], [w], Descent(0.1))
    torch.testing.assert_close(found, 2 * a)


def bilevel(net: nn.Module, alpha: nn.Parameter, clip: float = 0.0, **options: object) -> Bilevel:
    weights = list(net.parameters())
    sgd = torch.optim.SGD(weights, lr=0.1, momentum=0.9, weight_decay=0.01)
    adam = torch.optim.Adam([alpha], lr=0.1, betas=(0.5, 0.999), weight_decay=1e-3)
    return Bilevel(net, Optimized(weights, sgd, clip), Optimized([alpha], adam), **options)  # type: ignore[arg-type]


def snapshot(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def same(net: nn.Module, before: dict[str, Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


@pytest.mark.parametrize("second", [False, True])
def test_an_alpha_step_moves_alphas_only_and_a_weight_step_weights_only(second: bool) -> None:
    net, alpha, loss = small_net()
    steps = bilevel(net, alpha, second=second)
    before, start = snapshot(net), alpha.detach().clone()
    steps.alpha_step(lambda: loss(1), lambda: loss(0))
    assert same(net, before)  # running statistics included
    assert all(w.grad is None for w in net.parameters())
    assert not torch.equal(alpha, start)

    moved = alpha.detach().clone()
    steps.weight_step(lambda: loss(0))
    assert torch.equal(alpha, moved)
    assert alpha.grad is None
    assert not torch.equal(net.state_dict()["one.weight"], before["one.weight"])
    assert not torch.equal(net.state_dict()["norm.running_mean"], before["norm.running_mean"])


def test_first_order_computes_no_gradient_of_weights() -> None:
    net, alpha, loss = small_net()
    seen: list[Tensor] = []
    for weight in net.parameters():
        weight.register_hook(seen.append)  # type: ignore[no-untyped-call]
    bilevel(net, alpha).alpha_step(lambda: loss(1), lambda: loss(0))
    assert not seen


def test_a_weight_step_is_torchs_own_with_clipping() -> None:
    net, alpha, loss = small_net()
    twin, _, twin_loss = small_net()
    bilevel(net, alpha, clip=0.05).weight_step(lambda: loss(0))
    optimizer = torch.optim.SGD(twin.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01)
    torch.autograd.backward(twin_loss(0))
    assert nn.utils.clip_grad_norm_(twin.parameters(), 0.05) > 0.05
    optimizer.step()
    assert same(net, dict(twin.state_dict()))


def test_preferences_step_with_the_same_adam_and_only_where_there_are_any() -> None:
    net, alpha, _ = small_net()
    steps = bilevel(net, alpha)
    steps.preference_step({})
    assert alpha not in steps.alphas.optimizer.state
    steps.preference_step({"one": alpha.sum(), "two": 2 * alpha[0]})
    steps.preference_step({"one": alpha.sum()})
    state = steps.alphas.optimizer.state[alpha]
    assert state["step"] == 2
    twin = nn.Parameter(small_net()[1].detach().clone())
    adam = torch.optim.Adam([twin], lr=0.1, betas=(0.5, 0.999), weight_decay=1e-3)
    for gradient in ([3.0, 1.0], [1.0, 1.0]):
        twin.grad = torch.tensor(gradient, dtype=torch.float64)
        adam.step()
    assert torch.equal(alpha, twin)


def test_an_alpha_that_no_preference_mentions_takes_part_with_gradient_zero() -> None:
    together = nn.Parameter(torch.tensor([1.0, 1.0]))
    apart = [nn.Parameter(torch.tensor([1.0])), nn.Parameter(torch.tensor([1.0]))]
    net = nn.Linear(1, 1)
    for alphas in ([together], apart):
        adam = torch.optim.Adam(alphas, lr=0.1, weight_decay=0.5)
        sgd = torch.optim.SGD(net.parameters())
        steps = Bilevel(net, Optimized(list(net.parameters()), sgd), Optimized(alphas, adam))
        steps.preference_step({"first": alphas[0].flatten()[0] * 3})
    assert torch.equal(together, torch.cat(tuple(apart)))


def test_a_weight_that_the_loss_does_not_use_is_left_alone() -> None:
    net = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
    before = snapshot(net)
    bilevel(net, nn.Parameter(torch.ones(1))).weight_step(lambda: net[0](torch.ones(1, 2)).sum())
    after = net.state_dict()
    assert torch.equal(after["1.weight"], before["1.weight"])
    assert not torch.equal(after["0.weight"], before["0.weight"])


def test_kept_buffers_restores_them_after_an_error() -> None:
    net = nn.BatchNorm1d(2)

    def fail() -> None:
        with PreservedBuffers(net):
            net(torch.randn(4, 2))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert net.num_batches_tracked == 0
    assert torch.equal(cast(Tensor, net.running_mean), torch.zeros(2))


def test_scaled_losses_give_the_same_gradients_and_overflow_skips_the_step() -> None:
    net, alpha, loss = small_net()
    scale = LossScale(2.0**16, patience=2)
    (scaled,) = first_order(lambda: loss(1), [alpha], Gradients(scale))
    (plain,) = first_order(lambda: loss(1), [alpha])
    torch.testing.assert_close(scaled, plain)

    steps = bilevel(net, alpha, gradient=Gradients(scale))
    before = snapshot(net)
    steps.weight_step(lambda: loss(0) * torch.inf)
    assert same(net, {**before, **dict(net.named_buffers())})
    assert scale.value == 2.0**15
    steps.weight_step(lambda: loss(0))
    steps.weight_step(lambda: loss(0))
    assert scale.value == 2.0**16


def test_a_gradient_written_by_hand_is_not_differentiated_again() -> None:
    """It would be wrong without a word: `torch.autograd.grad` finds no way through it to the alphas."""
    torch.manual_seed(0)
    searched = space("darts.hsp", c=4, cells=3, size=8)
    supernet = relaxed(searched, SearchSettings()).double()
    images, labels = randn(2, *searched.input.largest), torch.randint(10, (2,))
    alphas = list(supernet.alphas.values())
    with pytest.raises(TwiceDifferentiatedError, match="first derivatives only"):
        torch.autograd.grad(cross_entropy(supernet(images), labels), alphas, create_graph=True)
    with supernet.twice_differentiable():
        slopes = torch.autograd.grad(cross_entropy(supernet(images), labels), alphas, create_graph=True)
    curvature = torch.autograd.grad(cast(Tensor, sum(slope.square().sum() for slope in slopes)), alphas)
    assert all(rows.isfinite().all() for rows in curvature)
