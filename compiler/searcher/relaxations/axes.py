"""How the weights of a pass follow from alphas: the mixture of items, the weights of edges, displacements."""

from __future__ import annotations

from dataclasses import dataclass, field

from compiler.searcher.settings.axes import Align, Edges, NoAlignment

from .displaced import Displacement
from .mixtures import Mixture, SoftmaxMixture
from .narrowing import Narrower
from .rates import ScheduledRate


@dataclass(frozen=True)
class Axes:
    """The axes of a relaxation that hold for every decision.

    ``mixture`` weighs the items of a decision; ``edges`` says whether the candidates of a pick of menus have weights of
    their own; ``displacement`` is what the weights learn under; schedules of statements go over ``epochs``;
    ``narrower`` says which items are given up; ``rates`` follow schedules; ``align`` says which instances of cells have
    weights of their own.
    """

    mixture: Mixture = field(default_factory=SoftmaxMixture)
    edges: Edges = Edges.SHARED
    displacement: Displacement | None = None
    epochs: int = 1
    narrower: Narrower | None = None
    rates: tuple[ScheduledRate, ...] = ()
    align: Align = field(default_factory=NoAlignment)

    def anneal(self, epoch: float) -> None:
        """Follow schedules after ``epoch`` epochs, a fraction."""
        self.mixture.anneal(epoch)
        if self.displacement is not None:
            self.displacement.epoch = epoch
