"""One architecture a pass, and alphas that learn from how well each does.

The weights learn on architectures drawn uniformly, decision by decision (Guo et al., "Single Path One-Shot Neural
Architecture Search with Uniform Sampling", ECCV 2020), or by the alphas. The alphas learn by the score-function
estimator, the loss less a moving average of it times the gradient of the logarithm of the architecture's probability
(Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992; Cai, Zhu,
Han, "ProxylessNAS", ICLR 2019, section 3.3), which needs no gradient of the network. Where requirements refuse draws,
the probability is that before refusing. Or draws are ranked, and the alphas learn by natural gradients
(`engine.natural`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, distributed, nn

from compiler.derivation.extremes import extreme
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.engine.natural import utilities
from compiler.searcher.engine.protocol import Passes, Run
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.relaxation import Sample
from compiler.util.errors import UsageError

from .axes import Axes
from .draws import Logits
from .plans import plan_of
from .single_path import Draw, OnePath

SMOOTHING = 0.9
"""How much of the moving average of losses stays at each step."""


@dataclass(frozen=True)
class Trials:
    """How many draws a step of the alphas judges, and whether by their rank, or by the loss less its average."""

    count: int = 1
    ranked: bool = False


class Sampled(OnePath):
    """One architecture runs a pass; widths and, with ``share``, other numbers take slices of the largest weights.

    Args:
        space: an elaborated network with choices.
        word: whether numbers share weights, and which architectures the weights learn on.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: over how many epochs schedules go.
        trials: what the alphas learn from.

    Raises:
        UsageError: the largest or the smallest architecture is to be trained, and misses what the space requires.
    """

    def __init__(
        self,
        space: Elaborated,
        word: Sample | None = None,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
        trials: Trials | None = None,
    ) -> None:
        word = word or Sample()
        super().__init__(space, word.share, init, derive, axes)
        self.plan, self.count = plan_of(word.weights, self), word.draws
        self.judging = trials or Trials()
        self.judged: list[tuple[Draw, Logits]] = []
        # A parameter that no optimizer sees: unlike a buffer, it keeps what an alpha step does to it.
        self.baseline = nn.Parameter(torch.full((), torch.nan), requires_grad=False)

    def to_run(self) -> Selection:
        """The planned architecture, or a draw; where the alphas ask for a gradient, a draw that they are judged by."""
        if self.planned is not None:
            return self.planned
        return self.draw_for_alphas() if self.is_for_alphas else self.plan()[0]

    def weight_passes(self) -> Passes:
        """The passes of the next step of the weights, all drawn before the first of them."""
        return Passes(tuple(run for _ in range(self.count) for run in self.plan()), 1 / self.count)

    def alpha_passes(self) -> Sequence[Run]:
        """The architectures that the next step of the alphas judges."""
        self.judged = []
        return [self.draw_for_alphas() for _ in range(self.judging.count)]

    def teacher(self) -> Run:
        """The largest architecture (`derivation.extremes`).

        Raises:
            UsageError: it misses what the space requires.
        """
        if not self.meets(self.largest):
            raise UsageError(
                "`teacher = largest` is the largest architecture, which misses what the space requires: state the "
                "requirement where an architecture is derived, or use `teacher = none`"
            )
        return self.largest

    @cached_property
    def largest(self) -> Selection:
        """The largest architecture."""
        return extreme(self.operations.paths, largest=True)

    @property
    def is_for_alphas(self) -> bool:
        """Whether the alphas ask for a gradient, and the weights for none."""
        asked = any(alpha.requires_grad for alpha in self.architecture.values())
        return asked and torch.is_grad_enabled() and not any(weight.requires_grad for weight in self.weights())

    def draw_for_alphas(self) -> Selection:
        """An architecture that the alphas will be judged by."""
        clean = self.logits()
        draw = self.draw({path: values.detach() for path, values in clean.items()})
        self.judged.append((draw, clean))
        return draw.chosen

    def objective(self, *losses: Tensor) -> Tensor:
        """A scalar with the gradient of the score-function estimator, of the losses of the last draws for the alphas.

        Of ranked draws it is that of the expected utility, which is to rise.
        """
        values = torch.stack([super(Sampled, self).objective(loss.detach()).reshape(()) for loss in losses])
        if not self.judged or not torch.is_grad_enabled():
            return values.mean()
        judged, self.judged = self.judged, []
        scores = torch.stack([self.probability(clean, draw) for draw, clean in judged])
        return values.mean() + (self.blame(values.detach()) * scores).mean()

    def blame(self, values: Tensor) -> Tensor:
        """How much less probable each draw is to become, (draws), by what it did."""
        if self.judging.ranked:
            found = utilities(values)
            return found.mean() - found
        mean = _mean(values.mean())
        usual = torch.where(self.baseline.isnan(), mean, self.baseline)
        with torch.no_grad():
            self.baseline.copy_(SMOOTHING * usual + (1 - SMOOTHING) * mean)
        return values - usual


def _mean(value: Tensor) -> Tensor:
    """The mean over all processes, so that their baselines agree."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
