"""Adaptive stochastic natural gradient: alphas that are the logarithms of probabilities, moved along ranked draws.

The natural gradient of an expected utility in the probabilities theta of independent choices is the mean over draws M
of (u - mean u) (M - theta), which is the plain gradient in the logarithms: so autograd's gradient of the logarithm of a
draw's probability serves. The step has a Fisher norm of delta / Delta, and Delta follows how far successive steps
agree: it grows where they cancel, and shrinks where they add up.

Akimoto et al., "Adaptive Stochastic Natural Gradient Method for One-Shot Neural Architecture Search" (ICML 2019),
algorithm 1 and section 5, with the floors of the released program.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

CONSIDERED = 0.25
"""The share of draws that count as good, and of those that count as bad."""

NEGLIGIBLE = 1e-18
"""A natural gradient of no larger entry is none."""

TIE = 1e-14
"""Losses that differ by less than this share are equal."""


def utilities(losses: Tensor) -> Tensor:
    """The utility of each loss, (draws): 1 / mu of the mu smallest, -1 / mu of the mu largest, else 0.

    mu is a quarter of the draws, rounded up; equal losses share the mean of theirs.
    """
    count = len(losses)
    few = math.ceil(CONSIDERED * count)
    by_rank = torch.zeros_like(losses)
    by_rank[:few] += 1 / few
    by_rank[count - few :] -= 1 / few
    order = losses.argsort()
    ranked = losses[order]
    apart = ranked[1:] - ranked[:-1] >= TIE * ranked[:-1].abs()
    group = torch.cat([torch.zeros_like(order[:1]), apart.cumsum(0)])
    same = (group.unsqueeze(0) == group.unsqueeze(1)).to(losses)
    shared = same @ by_rank / same.sum(1)
    return torch.empty_like(losses).scatter(0, order, shared)


class NaturalGradient(Optimizer):
    """Moves alphas, each the logarithms of the probabilities of one choice, along natural gradients of norm ``lr``.

    What it remembers are tensors: of each alpha the averaged steps ``s``, and beside the first alpha ``gamma``, the
    expected squared norm of averaged steps that have nothing in common, and ``Delta``, by which ``lr`` is divided.

    Args:
        parameters: the alphas, (items) each.
        snr: how much of the squared norm of averaged steps has to be signal for steps to stay as large as they are.
        lr: the norm of the first step.
    """

    def __init__(self, parameters: Sequence[nn.Parameter], snr: float, lr: float = 1.0) -> None:
        super().__init__(parameters, {"lr": lr})
        self.snr = snr

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients of the alphas; if they are all zero, none."""
        (group,) = self.param_groups
        alphas = [alpha for alpha in group["params"] if len(alpha) > 1]
        if not alphas or all(alpha.grad is None for alpha in alphas):
            return
        gradients = [torch.zeros_like(alpha) if alpha.grad is None else -alpha.grad for alpha in alphas]
        theta = [alpha.softmax(0) for alpha in alphas]
        whitened = [_whitened(p, gradient) for p, gradient in zip(theta, gradients, strict=True)]
        memory = self._memory(alphas)
        norm = torch.stack([part.square().sum() for part in whitened]).sum().sqrt()
        moves = torch.stack([gradient.abs().max() for gradient in gradients]).max() >= NEGLIGIBLE
        norm = torch.where(moves, norm, 1.0)
        delta = group["lr"] / memory["Delta"]
        for alpha, p, gradient in zip(alphas, theta, gradients, strict=True):
            ahead = _kept_above(p + delta * gradient / norm, 1 / (len(alphas) * (len(alpha) - 1)))
            alpha.copy_(torch.where(moves, ahead.log(), alpha))
        beta = delta / math.sqrt(sum(len(alpha) - 1 for alpha in alphas))
        length = torch.zeros_like(norm)
        for alpha, part in zip(alphas, whitened, strict=True):
            s = self.state[alpha]["s"]
            s.copy_(torch.where(moves, (1 - beta) * s + (beta * (2 - beta)).sqrt() * part / norm, s))
            length += s.square().sum()
        gamma = (1 - beta) ** 2 * memory["gamma"] + beta * (2 - beta)
        grown = memory["Delta"] * (beta * (gamma - length / self.snr)).exp()
        memory["gamma"].copy_(torch.where(moves, gamma, memory["gamma"]))
        memory["Delta"].copy_(torch.where(moves, grown, memory["Delta"]))

    def _memory(self, alphas: Sequence[Tensor]) -> dict[str, Any]:
        """The state of the estimate, kept with that of the first alpha; zeros and ones at first."""
        for alpha in alphas:
            self.state[alpha].setdefault("s", torch.zeros_like(alpha))
        first: dict[str, Any] = self.state[alphas[0]]
        first.setdefault("gamma", alphas[0].new_zeros(()))
        first.setdefault("Delta", alphas[0].new_ones(()))
        return first


def _whitened(theta: Tensor, gradient: Tensor) -> Tensor:
    """A vector whose norm is the Fisher norm of a change of one choice's probabilities, (items), the last entry 0."""
    last = theta[-1]
    part = gradient / theta.sqrt() + theta.sqrt() * gradient[:-1].sum() / (last + last.sqrt())
    part[-1] = 0.0
    return part


def _kept_above(theta: Tensor, floor: float) -> Tensor:
    """Probabilities, (items), none below the floor, of sum 1: what is above the floor is scaled."""
    theta = theta.clamp_min(floor)
    total = theta.sum()
    theta = theta - (total - 1) * (theta - floor) / (total - floor * len(theta))
    return theta / theta.sum()
