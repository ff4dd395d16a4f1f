"""Binary gates: weights learn on one item of each menu, alphas on two of them, or on all.

Of each menu two items are drawn without replacement by the softmax of its alphas, and of the two one that is computed
with, by the softmax of both. The gradient of an item's gate is the product of its output with the gradient of the
menu's output, summed; that of the alphas follows by the softmax of the two. After a step both are shifted, so that the
other items keep their probabilities.

Cai, Zhu, Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware" (ICLR 2019), section 3.2
and the released program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from compiler.backend.torch_modules.mixing import entries, with_entries
from compiler.backend.transfer import moved_together
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind, Selection
from compiler.searcher.data.source import Inputs, real
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.relaxation import GatePaths

from .axes import Axes
from .draws import Logits, lists, noise
from .gumbel import drawn_items
from .single_path import OnePath
from .straight import Straight, straight_through


class Gates(OnePath):
    """One item of each menu computes; the alphas learn from as many as there are gates.

    Candidates of picks of menus all run. Of a number that shapes others, such as a width, one value runs, and the gates
    of the others count for the channels that run. Requirements hold for what is derived, not for what is drawn.

    Args:
        space: an elaborated network with choices.
        paths: how many items of a menu the alphas learn from.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: over how many epochs schedules go.
    """

    def __init__(
        self,
        space: Elaborated,
        paths: GatePaths = GatePaths.TWO,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
    ) -> None:
        super().__init__(space, init=init, derive=derive, axes=axes)
        self.paths = paths
        self.shaping = self.operations.paths.shaping
        self.gated: Selection = {}
        """The items that the alphas learned from last."""

    def forward(self, images: Inputs, chosen: Selection | None = None) -> Tensor:
        """Logits ``[n, classes]`` of images: of one item of each menu, drawn or given, and of gates that learn."""
        if chosen is not None or not self.training:
            return super().forward(images, chosen)
        alphas = self.alphas
        if not (torch.is_grad_enabled() and any(alpha.requires_grad for alpha in alphas.values())):
            return super().forward(images, drawn_items(self.space.decisions, alphas).chosen)
        self.gated = self.draw_gates(alphas)
        return self.through_gates(images, self.gated, self.draw_active(alphas))

    def draw_gates(self, alphas: Mapping[str, Tensor]) -> Selection:
        """The items of each decision that have gates: two drawn without replacement, or all."""
        order = self.noisy(alphas)
        found: Selection = {}
        for path, decision in self.space.decisions.items():
            items = range(len(decision.items))
            whole = decision.kind is DecisionKind.PICK or self.paths is GatePaths.ALL
            found[path] = tuple(items if whole else sorted(items, key=order[path].__getitem__)[-2:])
        return found

    def draw_active(self, alphas: Mapping[str, Tensor]) -> dict[str, int]:
        """The open gate of each decision with alphas, drawn from the softmax of its gated items."""
        order = self.noisy(alphas)
        return {path: max(self.gated[path], key=order[path].__getitem__) for path in alphas}

    def noisy(self, alphas: Mapping[str, Tensor]) -> dict[str, list[float]]:
        """Alphas plus Gumbel noise, by which the largest are drawn by their softmax, one after the other."""
        shift = noise(self.space.decisions, alphas)
        return lists({path: alpha + shift[path] for path, alpha in alphas.items()})

    def through_gates(self, images: Inputs, gated: Selection, active: Mapping[str, int]) -> Tensor:
        """Logits where the items with gates run, and those whose gate is open are what is computed with."""
        hard: dict[str, dict[int, float]] = {}
        rows: Logits = {}
        for path, decision in self.space.decisions.items():
            hard[path] = {item: float(item == active.get(path, item)) for item in gated[path]}
            rows[path] = torch.tensor([hard[path].get(item, 0.0) for item in range(len(decision.items))])
        weights = moved_together(rows, real(images))
        for path in active:
            alpha, involved = self.alphas[path], gated[path]
            soft = with_entries(torch.zeros_like(alpha), involved, entries(alpha, involved).softmax(0))
            weights[path] = straight_through(weights[path], soft)
        run = {**gated, **{path: (item,) for path, item in active.items() if path in self.shaping}}
        return self.operations(images, run, Straight(weights, hard, self.operations.paths))

    @contextmanager
    def restricted(self) -> Iterator[None]:
        """A context for a step of the alphas; when it ends, items without a gate have their old probabilities."""
        before = {path: alpha.detach().clone() for path, alpha in self.alphas.items()}
        self.gated = {}
        yield
        for path, gated in self.gated.items():
            if path in before:
                _shift(self.alphas[path], before[path], gated)


@torch.no_grad()
def _shift(alpha: Tensor, before: Tensor, gated: tuple[int, ...]) -> None:
    """Move alphas of gates together, so that their exponentials have the sum of before; put the others back."""
    moved = entries(alpha, gated)
    moved += entries(before, gated).logsumexp(0) - moved.logsumexp(0)
    alpha.copy_(with_entries(before, gated, moved))
