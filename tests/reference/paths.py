"""Searches that draw, on a chain of menus, written from the published formulas, one step at a time.

What was drawn is handed over: the items of each menu, pass by pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, relu

Items = tuple[int, ...]
"""The item of each menu."""


def conv(c: int, kernel: int) -> nn.Module:
    return nn.Conv2d(c, c, kernel, padding=kernel // 2, bias=False)


class Unit(nn.Module):
    def __init__(self, c: int, kernel: int) -> None:
        super().__init__()
        self.conv = conv(c, kernel)
        self.norm = nn.BatchNorm2d(c)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.norm(self.conv(relu(x)))
        return made


class Chain(nn.Module):
    """Menus one after the other, each of units with these kernels, or ``bare`` convolutions; 0 is the identity."""

    def __init__(self, menus: int, kernels: Sequence[int], bare: bool = False, c: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, c, 3, padding=1, bias=False), nn.BatchNorm2d(c))
        self.menus = nn.ModuleList(
            nn.ModuleList((conv if bare else Unit)(c, kernel) if kernel else nn.Identity() for kernel in kernels)
            for _ in range(menus)
        )
        self.linear = nn.Linear(c, classes)

    def item(self, menu: int, item: int, x: Tensor) -> Tensor:
        found = self.menus[menu]
        assert isinstance(found, nn.ModuleList)
        made: Tensor = found[item](x)
        return made

    def forward(self, images: Tensor, mixed: Callable[[int, Tensor], Tensor]) -> Tensor:
        """Logits, where ``mixed(menu, x)`` is what a menu makes of x."""
        x = self.stem(images)
        for menu in range(len(self.menus)):
            x = mixed(menu, x)
        logits: Tensor = self.linear(x.mean((2, 3)))
        return logits

    def path(self, images: Tensor, items: Items) -> Tensor:
        logits: Tensor = self(images, lambda menu, x: self.item(menu, items[menu], x))
        return logits


@dataclass
class Searched:
    """A chain, its alphas (menus x items), the moving average of losses, and the memory of a natural gradient."""

    net: Chain
    alphas: Tensor
    baseline: Tensor | None = None


Batch = tuple[Tensor, Tensor]


def weight_step(
    searched: Searched,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    paths: Sequence[Items],
    factor: float,
    teacher: tuple[Items, float] | None = None,
) -> None:
    """SGD along ``factor`` times the sum of the gradients on paths; what none of them uses is left alone.

    The answers of a teacher are soft labels beside the true ones, with a weight.
    """
    images, labels = batch
    logits = [searched.net.path(images, items) for items in paths]
    losses = [cross_entropy(found, labels) for found in logits]
    if teacher is not None:
        with torch.no_grad():
            said = searched.net.path(images, teacher[0]).exp()
            said = said / said.sum(1, keepdim=True)
        losses += [-teacher[1] * (said * found.log_softmax(1)).sum(1).mean() for found in logits]
    loss = torch.stack(losses).sum() * factor
    parameters = list(searched.net.parameters())
    for parameter, found in zip(parameters, torch.autograd.grad(loss, parameters, allow_unused=True), strict=True):
        parameter.grad = found
    nn.utils.clip_grad_norm_(parameters, 5.0)
    optimizer.step()


def score_step(searched: Searched, optimizer: torch.optim.Optimizer, batch: Batch, items: Items) -> None:
    """The score-function estimator: the loss less its moving average, times grad log p; p is a softmax a menu."""
    images, labels = batch
    with torch.no_grad():
        loss = cross_entropy(searched.net.path(images, items), labels)
    usual = loss if searched.baseline is None else searched.baseline
    searched.baseline = 0.9 * usual + 0.1 * loss
    found = torch.zeros_like(searched.alphas)
    for menu, item in enumerate(items):
        found[menu] = (loss - usual) * (one_hot(item, found.shape[1]) - searched.alphas[menu].detach().softmax(0))
    searched.alphas.grad = found
    optimizer.step()


def one_hot(item: int, count: int) -> Tensor:
    row = torch.zeros(count, dtype=torch.float64)
    row[item] = 1.0
    return row


def gate_step(
    searched: Searched, optimizer: torch.optim.Optimizer, batch: Batch, gated: Sequence[Items], active: Items
) -> None:
    """ProxylessNAS: dL/dg of the gates of each menu, by the Jacobian of their softmax to alphas; then the shift.

    ``gated`` are the items of each menu that have gates, ``active`` those whose gate is one.
    """
    images, labels = batch
    gates = torch.zeros(searched.alphas.shape, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        for menu, item in enumerate(active):
            gates[menu, item] = 1.0

    def mixed(menu: int, x: Tensor) -> Tensor:
        total = torch.zeros(())
        for item in gated[menu]:
            made = searched.net.item(menu, item, x)
            total = total + gates[menu, item] * (made if item == active[menu] else made.detach())
        return total

    (of_gates,) = torch.autograd.grad(cross_entropy(searched.net(images, mixed), labels), [gates])
    before = searched.alphas.detach().clone()
    found = torch.zeros_like(before)
    for menu, items in enumerate(gated):
        p = before[menu, list(items)].softmax(0)
        for i, item in enumerate(items):
            for j, other in enumerate(items):
                found[menu, item] += of_gates[menu, other] * p[j] * (float(i == j) - p[i])
    searched.alphas.grad = found
    optimizer.step()
    with torch.no_grad():
        for menu, items in enumerate(gated):
            rest = [item for item in range(before.shape[1]) if item not in items]
            searched.alphas[menu, rest] = before[menu, rest]
            now = searched.alphas[menu, list(items)]
            offset = torch.log(now.exp().sum() / before[menu, list(items)].exp().sum())
            searched.alphas[menu, list(items)] = now - offset


class Natural:
    """ASNG: probabilities theta (menus x items), the averaged steps s, gamma and Delta, by the released formulas."""

    def __init__(self, menus: int, items: int, snr: float = 1.5) -> None:
        self.theta = torch.full((menus, items), 1 / items, dtype=torch.float64)
        self.s = torch.zeros(menus * (items - 1), dtype=torch.float64)
        self.gamma, self.growth, self.snr = 0.0, 1.0, snr

    def step(self, draws: Sequence[Items], losses: Sequence[float]) -> None:
        """Two draws: the better one has utility 1, the worse one -1; equal ones none."""
        if losses[0] == losses[1]:
            return
        menus, items = self.theta.shape
        n = menus * (items - 1)
        better, worse = sorted(range(2), key=losses.__getitem__)
        taken = [torch.stack([one_hot(item, items) for item in draw]) for draw in draws]
        natural = ((taken[better] - self.theta) - (taken[worse] - self.theta)) / 2
        parts = []
        for p, g in zip(self.theta, natural, strict=True):
            last = float(p[-1])
            for i in range(items - 1):
                root = math.sqrt(float(p[i]))
                parts.append(float(g[i]) / root + root * float(g[:-1].sum()) / (last + math.sqrt(last)))
        whitened = torch.tensor(parts, dtype=torch.float64)
        norm = whitened.norm()
        if norm == 0:
            return
        delta = 1 / self.growth
        beta = delta / math.sqrt(n)
        self.theta = self.theta + delta * natural / norm
        floor = 1 / (menus * (items - 1))
        for menu in range(menus):
            p = self.theta[menu].clamp_min(floor)
            p = p - (p.sum() - 1) * (p - floor) / (p.sum() - floor * items)
            self.theta[menu] = p / p.sum()
        self.s = (1 - beta) * self.s + math.sqrt(beta * (2 - beta)) * whitened / norm
        self.gamma = (1 - beta) ** 2 * self.gamma + beta * (2 - beta)
        self.growth *= math.exp(beta * (self.gamma - float(self.s @ self.s) / self.snr))


def natural_step(searched: Searched, natural: Natural, batch: Batch, draws: Sequence[Items]) -> None:
    """Both draws on one batch; alphas are the logarithms of theta."""
    images, labels = batch
    with torch.no_grad():
        natural.step(draws, [float(cross_entropy(searched.net.path(images, items), labels)) for items in draws])
        searched.alphas.copy_(natural.theta.log())
