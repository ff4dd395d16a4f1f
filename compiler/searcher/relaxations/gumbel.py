"""Hard Gumbel-softmax: what is drawn runs; the alphas learn from the softmax of noisy alphas, straight through.

Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017). The weights of what runs are one,
and their gradient is that of the soft ones, as in GDAS (Dong and Yang, "Searching for a Robust Neural Architecture in
Four GPU Hours", CVPR 2019). Either an architecture of the space is drawn, never one with `none`; or, as in GDAS, all
candidates of picks run and of each menu any item may be drawn. Then several items may be drawn of a menu, united and
divided by their number (Chang et al., "DATA: Differentiable ArchiTecture Approximation", NeurIPS 2019).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from compiler.backend.transfer import moved_together
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.searcher.data.source import Inputs, real
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.relaxation import Gumbel, Idle, Picks

from .axes import Axes
from .draws import Logits, lists, noise
from .mixtures import Temperature
from .single_path import Draw, OnePath
from .straight import Straight, straight_through
from .weights import mixing, one_hot


class HardGumbel(OnePath):
    """The drawn items run, and the alphas learn from their weights.

    What an item that does not run counts as, zeros or ones, says what gradient its weight has: none, or the sum of the
    gradient of what the menu makes. The weight of a width that is undecided stands at each of its channels.

    Args:
        space: an elaborated network with choices.
        temperature: what the noisy alphas are divided by.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: how probabilities follow from alphas, and over how many epochs schedules go.
        word: how many items are drawn, what idle ones count as, what picks run.
    """

    def __init__(
        self,
        space: Elaborated,
        temperature: Temperature,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
        word: Gumbel | None = None,
    ) -> None:
        self.word = word or Gumbel(hard=True)
        super().__init__(space, init=init, derive=derive, axes=axes, keep_zeros=self.word.idle is Idle.ONES)
        self.temperature = temperature

    def anneal(self, epoch: float) -> None:
        """Set the temperature to that of an epoch."""
        super().anneal(epoch)
        self.temperature.epoch = epoch

    def forward(self, images: Inputs, chosen: Selection | None = None) -> Tensor:
        """Logits ``[n, classes]`` of images, under weights that are drawn anew or given."""
        if chosen is not None or not self.training:
            return super().forward(images, chosen)
        clean = self.logits()
        draws = [self.draw_to_run(clean) for _ in range(self.word.draws)]
        if len(draws) > 1:
            return self.united(images, draws)
        (draw,) = draws
        if not any(values.requires_grad for values in draw.noisy.values()):
            return super().forward(images, draw.chosen)
        return self.straight(images, draw.chosen, self.soft(draw))

    def draw_to_run(self, clean: Mapping[str, Tensor]) -> Draw:
        """An architecture; or an item of each menu, of all that there are, and all candidates of picks."""
        return self.draw(clean) if self.word.picks is Picks.DRAWN else drawn_items(self.space.decisions, clean)

    def soft(self, draw: Draw) -> Logits:
        """The weights whose gradients those of a draw have."""
        heat, decisions = self.temperature(), self.space.decisions
        return {path: mixing(decisions[path], values / heat) for path, values in draw.noisy.items()}

    def straight(self, images: Inputs, chosen: Selection, soft: Mapping[str, Tensor]) -> Tensor:
        """Logits of an architecture, whose weights are one and have the gradients of the soft ones."""
        weights = moved_together(one_hot(self.space.decisions, chosen), real(images))
        for path, values in soft.items():
            weights[path] = straight_through(weights[path], values)
        hard = {path: dict.fromkeys(items, 1.0) for path, items in chosen.items()}
        return self.operations(images, chosen, Straight(weights, hard, self.operations.paths, self.word.idle))

    def united(self, images: Inputs, draws: Sequence[Draw]) -> Tensor:
        """Logits where of each menu all that was drawn runs, each item weighed by one over the number of items."""
        softs = [self.soft(draw) for draw in draws]
        chosen: Selection = {}
        weights: Logits = {}
        hard: dict[str, dict[int, float]] = {}
        for path, decision in self.space.decisions.items():
            items = sorted({item for draw in draws for item in draw.chosen[path]})
            chosen[path] = tuple(items)
            hard[path] = dict.fromkeys(items, 1.0 if decision.kind is DecisionKind.PICK else 1.0 / len(items))
            if decision.alphas:
                rows = [one_hot({path: decision}, draw.chosen)[path] for draw in draws]
                found = largest(torch.stack(rows), torch.stack([soft[path] for soft in softs]))
                weights[path] = found if decision.kind is DecisionKind.PICK else found / found.sum()
        return self.operations(images, chosen, Straight(weights, hard, self.operations.paths, self.word.idle))


def largest(hard: Tensor, soft: Tensor) -> Tensor:
    """The largest weight of each item, (items), of draws (draws, items); of equal ones it is the first draw's.

    Their values are those of ``hard``, which the CPU knows, their gradients those of ``soft``.
    """
    first = hard.argmax(0).tolist()
    return straight_through(hard.amax(0), torch.stack([soft[draw, item] for item, draw in enumerate(first)]))


def drawn_items(decisions: Mapping[str, Decision], clean: Mapping[str, Tensor]) -> Draw:
    """An item of each menu, number and size, of all that there are, and all candidates of picks."""
    shift = noise(decisions, clean)
    noisy = {path: values + shift[path] for path, values in clean.items()}
    order = lists(noisy)
    chosen = {
        path: tuple(range(len(decision.items)))
        if decision.kind is DecisionKind.PICK
        else (max(range(len(decision.items)), key=order[path].__getitem__),)
        for path, decision in decisions.items()
    }
    return Draw(chosen, noisy)
