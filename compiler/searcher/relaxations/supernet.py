"""Mixed relaxations, a search's default: every item of every choice runs, weighed as a mixture says.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from compiler.backend.lowering.cuda_graphs import Replays
from compiler.backend.lowering.network import lowered
from compiler.backend.passes import Pass, Target
from compiler.backend.passes.apart import compared, instances
from compiler.backend.passes.flatten import flatten
from compiler.backend.transfer import moved_together
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.payloads import Mix
from compiler.searcher.data.source import Inputs, parts_of, real
from compiler.searcher.settings.axes import AlignInstances, NoAlignment
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.narrowing import Measure
from hdas_dsl.text.diagnostics import HspError

from .axes import Axes
from .base import Relaxed
from .instances import Instances
from .narrowing import Judge
from .weights import one_hot


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
        built: the same space as it is built, where that is not as it is written.

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
        built: Elaborated | None = None,
    ) -> None:
        if space.refusals:
            raise HspError(space.refusals)
        align = axes.align if axes is not None else NoAlignment()
        own = compared(space.decisions, align.within) if isinstance(align, AlignInstances) else ()
        self.lowering = Relowering(space if built is None else _with_weighed_picks(built), passes, target, own)
        made = self.lowering.first
        super().__init__(space, made.network, init, derive, axes)
        self.is_built_otherwise = built is not None
        self.warnings = made.warnings
        self.given: Mapping[str, Tensor] | None = None
        self.instances = Instances(self.lowering.names, space.decisions)
        self.anneal(0)

    def forward(self, images: Inputs, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w); ``weights`` replaces the mixing weights, by path, (items) each.

        One-hot weights select an architecture.
        """
        found = self.weights_of_pass() if weights is None else weights
        output: Tensor = self.lowering.replays(*parts_of(images), self.instances.weights(found))
        return output

    def alone(self, images: Inputs, chosen: Selection) -> Tensor:
        """Logits of one architecture: that which one-hot weights select; all items run."""
        weights = one_hot(self.space.decisions, chosen)
        return self.forward(images, moved_together(weights, real(images)))

    def weights_of_pass(self) -> dict[str, Tensor]:
        """The mixing weights of a forward pass, by path, (items) each: drawn in training, else their means."""
        if self.given is not None:
            return self.on_edges(self.given)
        return self.on_edges(self.drawn_weights()) if self.training else self.mixing()

    def on_edges(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of items with those of edges; where something goes past items, edges weigh all by themselves."""
        if not self.is_built_otherwise:
            return super().on_edges(weights)
        picks = [path for path, decision in self.space.decisions.items() if decision.candidates]
        present = {path: self.live.present(path) for path in picks if path not in self.edges}
        weighed = {path: self.live.softmax(path, self.alphas[path]) for path in picks if path in self.edges}
        return {**weights, **weighed, **moved_together(present, next(iter(weights.values())))}

    def drawn_weights(self) -> dict[str, Tensor]:
        """Weights of items as train mode draws them, edges left aside."""
        return self.axes.mixture.draw(self.space.decisions, self.item_alphas())

    @contextmanager
    def perturbed(self, loss: Callable[[], Tensor]) -> Iterator[None]:
        """A context in which forward passes take mixing weights displaced by the setting `perturb`.

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

    @contextmanager
    def apart(self) -> Iterator[Mapping[str, Sequence[Tensor]]]:
        """A context in which each compared instance of a cell computes with mixing weights of its own, drawn once."""
        with torch.no_grad():
            shared = self.weights_of_pass()
        try:
            yield self.instances.separate(shared)
        finally:
            self.instances.vectors.clear()

    def weights_of_items(self) -> dict[str, list[nn.Parameter]]:
        """The parameters of each item of a menu, wherever it runs, by name; where menus nest, of the inner one."""
        flat = flatten(self.lowering.space.block.graph)
        mixes = {node.name for _, node in flat.order() if isinstance(node.payload, Mix)}
        found: dict[str, list[nn.Parameter]] = {}
        for name, module in self.lowering.first.modules.items():
            words = name.split(".")
            ends = (end for end in range(len(words) - 1, 0, -1) if ".".join(words[:end]) in mixes)
            if (end := next(ends, 0)) and (parameters := list(module.parameters())):
                found.setdefault(".".join(words[: end + 1]), []).extend(parameters)
        return found

    def anneal(self, epoch: float) -> None:
        """Follow the schedules of the relaxation, of the statements and of what regularises the network."""
        super().anneal(epoch)
        for rate in self.axes.rates:
            rate.follow(self.lowering.first.modules.values(), epoch)

    @contextmanager
    def twice_differentiable(self) -> Iterator[None]:
        """A context in which passes run the naive lowering: fused operations can be differentiated only once."""
        now, replays = self.lowering.now, self.lowering.replays
        try:
            self.lowering.now = self.lowering.naive()
            self.lowering.replays = Replays(self.lowering.now, False)
            self.train(self.training)
            yield
        finally:
            self.lowering.now, self.lowering.replays = now, replays

    # ------------------------------------------------------------ narrowing

    def train(self, mode: bool = True) -> Self:
        """Set the mode, also of the network that runs."""
        self.lowering.now.train(mode)
        return super().train(mode)

    def begin(self, epoch: int) -> None:
        """Lower the network anew, without what was given up since: its cost is that of the items that live."""
        super().begin(epoch)
        self.lowering.follow(self.live.narrow, next(self.network.parameters()).device)
        self.train(self.training)

    def narrow(self, done: int, judge: Judge) -> None:
        """Give up items after so many epochs, as the setting `narrow` says."""
        narrower = self.axes.narrower
        if narrower is None:
            return

        def judged(weights: Mapping[str, Tensor], measure: Measure) -> float:
            self.given = weights
            try:
                return judge(measure)
            finally:
                self.given = None

        with torch.no_grad():
            self.live.keep(narrower.plan(self, done, judged))
            if narrower.history:
                self.live.remember(self.distributions())

    def distributions(self) -> dict[str, Tensor]:
        """The softmax of all alphas, also of items that were given up, by path, (items) each."""
        return {path: alpha.softmax(0).double().cpu() for path, alpha in self.item_alphas().items()}


class Relowering:
    """A supernet's network, and the one that runs: that without the items that were given up. They share all weights.

    Args:
        space: what is lowered.
        passes: what is done to the graph before; None for what the target asks for.
        target: the machine, its memory and the batch.
        own: the decisions whose weights each instance of their cell reads by a name of its own.
    """

    def __init__(
        self, space: Elaborated, passes: Iterable[Pass] | None, target: Target | None, own: tuple[str, ...] = ()
    ) -> None:
        self.space, self.passes, self.target = space, None if passes is None else tuple(passes), target
        self.own = own
        self.names = instances(flatten(space.block.graph), own) if own else {}
        """What weights are called in the instances of cells, by scope and by the path of the decision."""
        self.first = lowered(space, self.passes, target, own=own)
        self.now: nn.Module = self.first.network
        self.replays = self.first.replays
        self.live: Mapping[str, tuple[int, ...]] = {}

    def naive(self, whole: bool = False) -> nn.Module:
        """The network that runs now, with every operation as it is written, and nothing computed again.

        ``whole``: with the items that were given up.
        """
        target = None if self.target is None else replace(self.target, compiled=False, memory_budget=None)
        made = lowered(self.space, (), target, {} if whole else self.live, self.first.modules, self.own)
        return made.network.to(next(self.first.network.parameters()).device)

    def follow(self, live: Mapping[str, tuple[int, ...]], device: torch.device) -> None:
        """Lower the network for the items that live, by the path of their decision, if they are not those of now."""
        if live == self.live:
            return
        made = lowered(self.space, self.passes, self.target, live, self.first.modules, self.own)
        self.now, self.replays, self.live = made.network.to(device), made.replays, dict(live)


def _with_weighed_picks(built: Elaborated) -> Elaborated:
    """The space with picks of menus that weigh their candidates: what goes past items has no other weight."""
    decisions = {path: replace(decision, candidates=()) for path, decision in built.decisions.items()}
    return replace(built, decisions=decisions)
