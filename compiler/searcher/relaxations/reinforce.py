"""One architecture a pass, and alphas that learn from how well each does.

The weights learn on architectures drawn uniformly, decision by decision (Guo et al., "Single Path One-Shot Neural
Architecture Search with Uniform Sampling", ECCV 2020), or by the alphas. The alphas learn by the score-function
estimator, the loss less a moving average of it times the gradient of the logarithm of the architecture's probability
(Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992; Cai, Zhu,
Han, "ProxylessNAS", ICLR 2019, section 3.3), which needs no gradient of the network. Where requirements refuse draws,
the probability is that before refusing.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn

from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.engine.protocol import Passes
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.relaxation import Draws, Uniform

from .axes import Axes
from .draws import Logits
from .plans import plan_of
from .single_path import Draw, OnePath

SMOOTHING = 0.9
"""How much of the moving average of losses stays at each step."""


class Sampled(OnePath):
    """One architecture runs a pass; widths and, with ``share``, other numbers take slices of the largest weights.

    Args:
        space: an elaborated network with choices.
        share: whether the values of an undecided number share one weight, of which each takes a slice.
        draws: which architectures the weights learn on.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: over how many epochs schedules go.
        count: on the mean of how many draws the weights take a step.

    Raises:
        UsageError: the largest or the smallest architecture is to be trained, and misses what the space requires.
    """

    def __init__(
        self,
        space: Elaborated,
        share: bool = False,
        draws: Draws | None = None,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
        count: int = 1,
    ) -> None:
        super().__init__(space, share, init, derive, axes)
        self.plan, self.count = plan_of(draws or Uniform(), self), count
        self.judged: tuple[Draw, Logits] | None = None
        # A parameter that no optimizer sees: unlike a buffer, it keeps what an alpha step does to it.
        self.baseline = nn.Parameter(torch.full((), torch.nan), requires_grad=False)

    def to_run(self) -> Selection:
        """What was planned, or a draw: one that the alphas will be judged by, if it is they that ask for a gradient."""
        if self.planned is not None:
            return self.planned
        return self.draw_for_alphas() if self.is_for_alphas else self.plan()[0]

    def passes(self) -> Passes:
        """The passes of the next step of the weights, all drawn before the first of them."""
        return Passes(tuple(run for _ in range(self.count) for run in self.plan()), 1 / self.count)

    @property
    def is_for_alphas(self) -> bool:
        """Whether the alphas ask for a gradient, and the weights for none."""
        asked = any(alpha.requires_grad for alpha in self.architecture.values())
        return asked and torch.is_grad_enabled() and not any(weight.requires_grad for weight in self.weights())

    def draw_for_alphas(self) -> Selection:
        """An architecture that the alphas will be judged by."""
        clean = self.logits()
        draw = self.draw({path: values.detach() for path, values in clean.items()})
        self.judged = draw, clean
        return draw.chosen

    def objective(self, loss: Tensor) -> Tensor:
        """What has the gradient of the score-function estimator, for the loss of what was drawn for the alphas last."""
        value = super().objective(loss.detach())
        if self.judged is None or not torch.is_grad_enabled():
            return value
        (draw, clean), self.judged = self.judged, None
        mean = _mean(value.detach())
        usual = torch.where(self.baseline.isnan(), mean, self.baseline)
        with torch.no_grad():
            self.baseline.copy_(SMOOTHING * usual + (1 - SMOOTHING) * mean)
        return value + (value.detach() - usual) * self.probability(clean, draw)


def _mean(value: Tensor) -> Tensor:
    """The mean over all processes, so that their baselines agree."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
