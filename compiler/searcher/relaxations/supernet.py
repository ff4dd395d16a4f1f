"""Mixed relaxations, a search's default: every item of every choice runs, weighed as a mixture says.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from compiler.backend.lowering.network import lowered
from compiler.backend.passes import Pass, Target
from compiler.elaborate import Elaborated
from compiler.searcher.settings.derivation import Derivation
from hdas_dsl.text.diagnostics import HspError

from .axes import Axes
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
        axes: how weights follow from alphas.

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
        axes: Axes | None = None,
    ) -> None:
        if space.refusals:
            raise HspError(space.refusals)
        made = lowered(space, passes, target)
        super().__init__(space, made.network, init, derive, axes)
        self.warnings = made.warnings
        self.given: Mapping[str, Tensor] | None = None

    def forward(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w); ``weights`` replaces the mixing weights, by path, (items) each.

        One-hot weights select an architecture.
        """
        output: Tensor = self.network(images, self.weights_of_pass() if weights is None else dict(weights))
        return output

    def weights_of_pass(self) -> dict[str, Tensor]:
        """The mixing weights of a forward pass, by path, (items) each: drawn in training, else their means."""
        if self.given is not None:
            return self.on_edges(self.given)
        return self.on_edges(self.drawn_weights()) if self.training else self.mixing()

    def drawn_weights(self) -> dict[str, Tensor]:
        """Weights of items as train mode draws them, edges left aside."""
        return self.axes.mixture.draw(self.space.decisions, self.item_alphas())

    @contextmanager
    def perturbed(self, loss: Callable[[], Tensor]) -> Iterator[None]:
        """Within it, forward passes take mixing weights that are displaced as the setting `perturb` says.

        Args:
            loss: what the weights will learn from, at the weights of the pass.
        """
        if self.axes.displacement is None:
            yield
            return
        with torch.no_grad():
            clean = self.drawn_weights()
        try:
            self.given = self.axes.displacement.find(self, clean, loss)
            yield
        finally:
            self.given = None
