"""Displaced mixing weights: what the weights of a network learn under, so that alphas end where the loss is flat.

A displacement moves the mixing weights, behind the softmax, and brings them back to where mixing weights may lie: the
simplex, or for items that do not compete the cube. It holds for one step of the weights; alphas never see it.

Chen, Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based Regularization" (ICML 2020).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from compiler.backend.transfer import moved_together
from compiler.searcher.engine.gradients import frozen
from compiler.searcher.settings.schedules import Schedule

Weights = Mapping[str, Tensor]


class Displaceable(Protocol):
    """A supernet whose mixing weights can be set for a pass."""

    given: Weights | None

    @property
    def network(self) -> nn.Module:
        """The module that holds the weights."""

    def projected(self, path: str, weights: Tensor) -> Tensor:
        """Weights of a decision's items brought back to where its mixing weights may lie, (items)."""


class Displacement(ABC):
    """How far mixing weights are displaced, and where to.

    Args:
        eps: the largest change of a weight, over the epochs.
        epochs: how many there are.
    """

    def __init__(self, eps: Schedule, epochs: int) -> None:
        self.schedule, self.epochs, self.epoch = eps, epochs, 0.0

    @property
    def eps(self) -> float:
        """The largest change at the present epoch."""
        return self.schedule(self.epoch, self.epochs)

    @abstractmethod
    def find(self, supernet: Displaceable, clean: Weights, loss: Callable[[], Tensor]) -> dict[str, Tensor]:
        """The displaced weights, by path.

        Args:
            supernet: whose passes take ``supernet.given`` as their weights.
            clean: the weights without displacement, without gradients.
            loss: the loss of a pass, a scalar.
        """

    def random(self, supernet: Displaceable, clean: Weights) -> dict[str, Tensor]:
        """Weights moved by a uniform draw from [-eps, eps] each, from torch's global generator of the CPU."""
        draws = {path: (2 * torch.rand(weights.shape) - 1) * self.eps for path, weights in clean.items()}
        draws = moved_together(draws, next(iter(clean.values())))
        return {path: supernet.projected(path, weights + draws[path]) for path, weights in clean.items()}


class RandomDisplaced(Displacement):
    """Weights moved at random (SDARTS-RS)."""

    def find(self, supernet: Displaceable, clean: Weights, loss: Callable[[], Tensor]) -> dict[str, Tensor]:
        """Weights moved at random; without any distance, as they are."""
        return self.random(supernet, clean) if self.eps else dict(clean)


class AdversarialDisplaced(Displacement):
    """Weights moved up the loss (SDARTS-ADV): from a random start by sign steps of 2 eps / steps, each projected.

    The loss is that in eval mode, at running statistics. Where it has not risen in the end, nothing is displaced.
    """

    def __init__(self, eps: Schedule, epochs: int, steps: int) -> None:
        super().__init__(eps, epochs)
        self.steps = steps

    def find(self, supernet: Displaceable, clean: Weights, loss: Callable[[], Tensor]) -> dict[str, Tensor]:
        """Weights moved up the loss; ``steps`` passes forwards and backwards, and two forwards."""
        if not (eps := self.eps):
            return dict(clean)
        was_training = supernet.network.training
        supernet.network.eval()
        for part in supernet.network.modules():
            if isinstance(part, nn.RNNBase):  # of which cuDNN has a gradient in training only; it draws nothing
                part.train()
        try:
            with frozen(supernet.network.parameters()):
                found = self.random(supernet, clean)
                for _ in range(self.steps):
                    found = self._step(supernet, clean, found, loss, eps)
                rises = self._loss_at(supernet, found, loss) > self._loss_at(supernet, clean, loss)
                # Asked by `if`, a GPU would be waited for.
                return {path: torch.where(rises, found[path], weights) for path, weights in clean.items()}
        finally:
            supernet.given = None
            supernet.network.train(was_training)

    def _step(
        self, supernet: Displaceable, clean: Weights, at: Weights, loss: Callable[[], Tensor], eps: float
    ) -> dict[str, Tensor]:
        leaves = {path: weights.detach().requires_grad_() for path, weights in at.items()}
        supernet.given = leaves
        slopes = torch.autograd.grad(loss(), list(leaves.values()), allow_unused=True)
        moved = {}
        for (path, weights), slope in zip(leaves.items(), slopes, strict=True):
            direction = torch.zeros_like(weights) if slope is None else slope.sign()
            step = weights.detach() + 2 * eps / self.steps * direction - clean[path]
            moved[path] = supernet.projected(path, clean[path] + step.clamp(-eps, eps))
        return moved

    @staticmethod
    @torch.no_grad()
    def _loss_at(supernet: Displaceable, weights: Weights, loss: Callable[[], Tensor]) -> Tensor:
        supernet.given = weights
        return loss()
