"""Searches that draw, on a chain of menus, written from the published formulas, one step at a time.

What was drawn is handed over: the items of each menu, pass by pass.
"""

from __future__ import annotations

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
    searched: Searched, optimizer: torch.optim.Optimizer, batch: Batch, paths: Sequence[Items], factor: float
) -> None:
    """SGD along ``factor`` times the sum of the gradients on paths; what none of them uses is left alone."""
    images, labels = batch
    loss = torch.stack([cross_entropy(searched.net.path(images, items), labels) for items in paths]).sum() * factor
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
