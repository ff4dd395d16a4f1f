"""One architecture a pass, and alphas that learn from how well each does.

The weights learn on architectures drawn uniformly, decision by decision (Guo et al., "Single Path One-Shot Neural
Architecture Search with Uniform Sampling", ECCV 2020), or by the alphas. The alphas learn by the score-function
estimator, the loss less a moving average of it times the gradient of the logarithm of the architecture's probability
(Williams, "Simple Statistical Gradient-Following Algorithms for Connectionist Reinforcement Learning", 1992; Cai, Zhu,
Han, "ProxylessNAS", ICLR 2019, section 3.3), which needs no gradient of the network. Where requirements refuse draws,
the probability is that before refusing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn

from ..decide import Decisions
from ..elaborate import Elaborated
from ..settings import Derivation, Draws
from .onepath import OnePath

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
    """

    def __init__(
        self,
        space: Elaborated,
        share: bool = False,
        draws: Draws = Draws.UNIFORM,
        init: float = 1e-3,
        derive: Derivation | None = None,
    ) -> None:
        super().__init__(space, share, init, derive)
        self.draws = draws
        self.judged: Decisions | None = None
        # A parameter that no optimizer sees: unlike a buffer, it keeps what an alpha step does to it.
        self.baseline = nn.Parameter(torch.full((), torch.nan), requires_grad=False)

    def forward(self, images: Tensor, chosen: Decisions | None = None) -> Tensor:
        chosen = self.judged if chosen is None else chosen
        if chosen is None and self.training and self.draws is Draws.UNIFORM:
            chosen = self.draw({path: torch.zeros(len(alpha)) for path, alpha in self.alphas.items()}).chosen
        return super().forward(images, chosen)

    def alpha_loss(self, loss: Callable[[], Tensor]) -> Tensor:
        """What has the gradient of the score-function estimator; the loss is that of an architecture of the alphas."""
        clean = self.logits()
        draw = self.draw({path: values.detach() for path, values in clean.items()})
        self.judged = draw.chosen
        try:
            with torch.no_grad():
                value = loss()
        finally:
            self.judged = None
        usual = torch.where(self.baseline.isnan(), _mean(value), self.baseline).to(value)
        self._remember(SMOOTHING * usual + (1 - SMOOTHING) * _mean(value))
        return (value - usual) * self.probability(clean, draw)

    @torch.no_grad()
    def _remember(self, usual: Tensor) -> None:
        self.baseline.copy_(usual)


def _mean(value: Tensor) -> Tensor:
    """The mean over all processes, so that their baselines agree."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return value
    total = value.clone()
    distributed.all_reduce(total)
    return total / distributed.get_world_size()
