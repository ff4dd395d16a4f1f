"""Operation-level early stopping: the weights of an operation that overfits are frozen.

Jiang et al., "Operation-Level Early Stopping for Robustifying Differentiable NAS" (NeurIPS 2023): an operation overfits
where the gradient of its weights on the images of the alphas no longer points in the direction of the gradient on the
images of the weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from compiler.searcher.settings.axes import Freeze, FreezeOverfitting

from .protocol import Searchable


class Freezing:
    """The mean cosine of two gradients of each operation, and the operations that are frozen by it.

    Args:
        operations: the parameters of each operation, by name; parameters that are not matrices are not compared.
        word: the bound of the cosine, and the number of steps of its mean.
    """

    def __init__(self, operations: Mapping[str, Sequence[nn.Parameter]], word: FreezeOverfitting) -> None:
        self.word = word
        compared = {name: [w for w in found if w.dim() > 1] for name, found in operations.items()}
        self.names = [name for name, weights in compared.items() if weights]
        self.parameters = [list(operations[name]) for name in self.names]
        self.compared = [compared[name] for name in self.names]
        device = self.compared[0][0].device if self.compared else None
        count = len(self.names)
        self.tensors = {
            "frozen": torch.zeros(count, dtype=torch.bool, device=device),
            "sums": torch.zeros(count, dtype=torch.float64, device=device),
            "steps": torch.zeros((), dtype=torch.int64),
            "learned": torch.zeros((), dtype=torch.bool),
            **{str(place): torch.zeros_like(weight) for place, weight in enumerate(self._weights(range(count)))},
        }
        """All that a checkpoint holds: the gradients of the last step of the weights by their place, among others."""
        weights = self._weights(range(count))
        self.before = {id(weight): self.tensors[str(place)] for place, weight in enumerate(weights)}
        """The gradient of each weight in the last step of the weights, by the identity of the parameter."""
        self.refresh()

    def _weights(self, places: Iterable[int]) -> list[nn.Parameter]:
        return [weight for place in places for weight in self.compared[place]]

    def refresh(self) -> None:
        """Read from the tensors which operations are frozen: a checkpoint may have changed them."""
        is_frozen = self.tensors["frozen"].tolist()
        self.live = [place for place, done in enumerate(is_frozen) if not done]
        self.resting = {id(p) for place, done in enumerate(is_frozen) if done for p in self.parameters[place]}
        """The parameters that no longer move, by identity."""
        self.watched = self._weights(self.live)
        """The weights whose gradients are compared."""

    @property
    def count(self) -> int:
        """How many operations are frozen."""
        return len(self.names) - len(self.live)

    @torch.no_grad()
    def remember(self, gradients: Mapping[int, Tensor | None]) -> None:
        """Keep the gradients of a step of the weights, by the identity of the parameter."""
        for weight, kept in self.before.items():
            found = gradients.get(weight)
            if found is None:
                kept.zero_()
            else:
                kept.copy_(found)
        self.tensors["learned"].fill_(True)

    @torch.no_grad()
    def compare(self, gradients: Sequence[Tensor]) -> None:
        """Compare the gradients of the watched weights on a batch of the alphas with those of the last weight step.

        After every ``over`` steps, operations whose mean cosine is below the bound freeze.
        """
        if not self.tensors["learned"]:
            return
        found = dict(zip(map(id, self.watched), gradients, strict=True))
        for place in self.live:
            cosines = [self._cosine(found[id(w)], self.before[id(w)]) for w in self.compared[place]]
            self.tensors["sums"][place] += torch.stack(cosines).mean()
        self.tensors["steps"] += 1
        if int(self.tensors["steps"]) == self.word.over:
            self.tensors["frozen"] |= self.tensors["sums"] / self.word.over < self.word.below
            self.tensors["sums"].zero_()
            self.tensors["steps"].zero_()
            self.refresh()

    def _cosine(self, on_alphas: Tensor, on_weights: Tensor) -> Tensor:
        """The mean over output channels of the cosine of two gradients, (channels, ...)."""
        if self.word.accumulated:
            on_alphas = on_alphas + on_weights
        return cosine_similarity(on_alphas.flatten(1).double(), on_weights.flatten(1).double(), dim=1).mean()


def freezing_of(searchable: Searchable, word: Freeze) -> Freezing | None:
    """The freezing of the setting `freeze`; None without one."""
    return Freezing(searchable.weights_of_items(), word) if isinstance(word, FreezeOverfitting) else None
