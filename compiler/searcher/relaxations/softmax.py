"""The softmax relaxation, a search's default: every item of every choice runs, weighed by the softmax of its alphas.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from compiler.backend.lowering.network import lowered
from compiler.backend.passes import Pass, Target
from compiler.elaborate import Elaborated
from compiler.searcher.settings.derivation import Derivation
from hdas_dsl.text.diagnostics import HspError

from .base import Relaxed


class Supernet(Relaxed):
    """A network in which every choice is the weighted sum of its items.

    Args:
        space: an elaborated network with choices.
        passes: what is done to the graph before lowering; `(FLATTEN,)` for the naive lowering, by default those that
            pay on the target.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        target: the machine, its memory and the batch; by default this machine's CPU.

    Raises:
        HspError: when the space cannot be relaxed by mixing.
    """

    def __init__(
        self,
        space: Elaborated,
        passes: Iterable[Pass] | None = None,
        init: float = 1e-3,
        derive: Derivation | None = None,
        target: Target | None = None,
    ) -> None:
        if space.refusals:
            raise HspError(space.refusals)
        made = lowered(space, passes, target)
        super().__init__(space, made.network, init, derive)
        self.warnings = made.warnings

    def forward(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w); ``weights`` replaces the mixing weights, by path, (items) each.

        One-hot weights select an architecture.
        """
        output: Tensor = self.network(images, self.mixing() if weights is None else dict(weights))
        return output
