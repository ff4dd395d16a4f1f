"""Mixtures: how the weights of a decision's items follow from its alphas, where items are added up.

A mixture is a function of one decision at a time. In train mode it may draw (`draw`); its `mean` is what evaluation,
preferences and expectations compute with. Numbers and sizes exclude each other, so they keep a softmax in every
mixture. To add one, write its class here, its word in `searcher/settings/relaxation.py`, and its line in `mixture_of`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, special
from torch.distributions import Dirichlet as DirichletDistribution
from torch.nn.functional import elu

from compiler.backend.transfer import moved_together
from compiler.ir.decision import Decision, DecisionKind
from compiler.searcher.settings.schedules import Schedule

from .draws import noise, together
from .weights import mixing

EXCLUSIVE = (DecisionKind.NUMBER, DecisionKind.SIZE)
"""Kinds of decisions of which exactly one item holds."""


class Temperature:
    """A temperature that follows a schedule over so many epochs."""

    def __init__(self, schedule: Schedule, epochs: int) -> None:
        self.schedule, self.epochs, self.epoch = schedule, epochs, 0.0

    def __call__(self) -> float:
        """The temperature at the present epoch."""
        return self.schedule(self.epoch, self.epochs)


class Mixture(ABC):
    """The weights of items as a function of alphas."""

    start = 0.0
    """Where alphas start, besides what is random."""

    def anneal(self, epoch: float) -> None:  # noqa: B027 (most mixtures have no schedule)
        """Follow schedules after ``epoch`` epochs, a fraction; without schedules, do nothing."""

    @abstractmethod
    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items), without noise."""

    def draw(self, decisions: Mapping[str, Decision], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a pass in train mode, by path, (items) each, drawn from torch's generator of the CPU."""
        return {path: self.mean(decisions[path], alpha) for path, alpha in alphas.items()}

    def logarithms(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The logarithms of the weights, by which strength is measured, (items); of an independent pick, the alphas."""
        if decision.independent:
            return alpha
        return self.mean(decision, alpha).clamp_min(torch.finfo(alpha.dtype).tiny).log()

    def probabilities(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights scaled to the sum of probabilities: 1, or k of a pick of k; an independent pick's as they are."""
        weights = self.mean(decision, alpha)
        if decision.independent:
            return weights
        return max(decision.most, 1) * weights / weights.sum()

    def project(self, decision: Decision, weights: Tensor) -> Tensor:
        """Weights that were displaced, brought back to where weights may lie, (items).

        They are clamped to [0, k] and scaled to the sum k of a softmax; an independent pick's are clamped to [0, 1].
        """
        if decision.independent:
            return weights.clamp(0, 1)
        total = max(decision.most, 1)
        kept = weights.clamp(0, total)
        return total * kept / kept.sum().clamp_min(torch.finfo(kept.dtype).tiny)

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The entropy of a decision in nats, a scalar; of an independent pick the sum of its items'."""
        if decision.independent:
            return _binary_entropy(alpha.sigmoid()).sum()
        return _entropy(alpha.softmax(0))

    def living(self, decision: Decision, values: Tensor) -> Tensor:
        """The values of the items that may still be found, of those of all, (items)."""
        return values

    def largest_entropy(self, decision: Decision) -> float:
        """The entropy of a decision of which nothing is known, in nats."""
        count = len(decision.items)
        return math.log(2) * count if decision.independent else math.log(count)


class SoftmaxMixture(Mixture):
    """Softmax; k times softmax for a pick of k; sigmoid for an independent pick.

    Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2.
    """

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items)."""
        return mixing(decision, alpha)

    def probabilities(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights themselves."""
        return self.mean(decision, alpha)


class GumbelMixture(SoftmaxMixture):
    """A softmax of the alphas plus noise, divided by a temperature; without noise and temperature in eval mode.

    Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017); Wu et al., "FBNet" (CVPR 2019).
    """

    def __init__(self, temperature: Temperature) -> None:
        self.temperature = temperature

    def anneal(self, epoch: float) -> None:
        """Set the temperature to that of an epoch."""
        self.temperature.epoch = epoch

    def draw(self, decisions: Mapping[str, Decision], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights drawn anew."""
        shift, heat = noise(decisions, alphas), self.temperature()
        return {path: self.mean(decisions[path], (alpha + shift[path]) / heat) for path, alpha in alphas.items()}


class SigmoidMixture(Mixture):
    """A sigmoid of each alpha, so that items do not compete; numbers and sizes keep a softmax.

    Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search" (ECCV 2020).
    """

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items)."""
        return alpha.softmax(0) if decision.kind in EXCLUSIVE else alpha.sigmoid()

    def project(self, decision: Decision, weights: Tensor) -> Tensor:
        """Weights clamped to [0, 1]: they need not sum to anything."""
        return super().project(decision, weights) if decision.kind in EXCLUSIVE else weights.clamp(0, 1)

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The sum of the entropies of the items, each there or not, in nats."""
        if decision.kind in EXCLUSIVE:
            return super().entropy(decision, alpha)
        return _binary_entropy(alpha.sigmoid()).sum()

    def largest_entropy(self, decision: Decision) -> float:
        """That of as many fair coins as there are items, in nats."""
        if decision.kind in EXCLUSIVE:
            return super().largest_entropy(decision)
        return math.log(2) * len(decision.items)


class ReluMixture(Mixture):
    """The part of each alpha above zero, divided by the sum of these; independent picks keep a sigmoid of each.

    Chang et al., "DATA: Differentiable ArchiTecture Approximation" (NeurIPS 2019).
    """

    start = 1.0

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items)."""
        if decision.independent:
            return alpha.sigmoid()
        above = alpha.relu()
        return max(decision.most, 1) * above / above.sum().clamp_min(torch.finfo(alpha.dtype).tiny)

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The entropy of the shares, in nats."""
        if decision.independent:
            return super().entropy(decision, alpha)
        return _entropy(self.mean(decision, alpha) / max(decision.most, 1))


class DirichletMixture(Mixture):
    """Weights drawn in every pass from a Dirichlet distribution of concentration elu(alpha) + 1; its mean in eval mode.

    Strength is measured by the softmax of the alphas, as the released program does, and not by the concentration. The
    gradient goes through the draw. Picks of any have nothing to share, and numbers exclude each other: they keep the
    weights of the softmax mixture.

    Chen et al., "DrNAS: Dirichlet Neural Architecture Search" (ICLR 2021).
    """

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The mean of the distribution, the concentration by its sum, (items)."""
        if not _is_shared(decision):
            return SoftmaxMixture().mean(decision, alpha)
        concentration = concentrations(alpha)
        return max(decision.most, 1) * concentration / concentration.sum()

    def draw(self, decisions: Mapping[str, Decision], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Weights drawn anew."""
        like = next(iter(alphas.values()))
        shared = {path: alpha for path, alpha in alphas.items() if _is_shared(decisions[path])}
        shared = moved_together(shared, like.detach().new_empty(0, device="cpu"))

        def sampled(rows: Tensor) -> Tensor:
            return DirichletDistribution(concentrations(rows), validate_args=False).rsample()

        drawn = moved_together(together(shared, sampled), like)
        return {
            path: max(decisions[path].most, 1) * drawn[path] if path in drawn else self.mean(decisions[path], alpha)
            for path, alpha in alphas.items()
        }

    def logarithms(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The logarithms of the softmax of the alphas, (items)."""
        return alpha if decision.independent else alpha.log_softmax(0)

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The entropy of the mean of the distribution, in nats."""
        if not _is_shared(decision):
            return super().entropy(decision, alpha)
        concentration = concentrations(alpha)
        return _entropy(concentration / concentration.sum())


def concentrations(alpha: Tensor) -> Tensor:
    """The concentration of the Dirichlet distribution, elu(alpha) + 1, kept above 0."""
    return (elu(alpha) + 1).clamp_min(torch.finfo(alpha.dtype).eps)


def divergence(alpha: Tensor) -> Tensor:
    """The Kullback-Leibler divergence of the distribution of alphas from the flat one, KL(Dir(c) || Dir(1))."""
    concentration = concentrations(alpha)
    total, count = concentration.sum(), len(concentration)
    normaliser = torch.lgamma(total) - torch.lgamma(concentration).sum() - math.lgamma(count)
    return normaliser + ((concentration - 1) * (torch.digamma(concentration) - torch.digamma(total))).sum()


def _is_shared(decision: Decision) -> bool:
    """Whether the items share a sum, and may hold together."""
    return not decision.independent and decision.kind not in EXCLUSIVE


def _entropy(p: Tensor) -> Tensor:
    terms: Tensor = special.entr(p)
    return terms.sum()


def _binary_entropy(p: Tensor) -> Tensor:
    terms: Tensor = special.entr(p) + special.entr(1 - p)
    return terms
