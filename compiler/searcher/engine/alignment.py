"""Alignment: the instances of a cell are made to agree on how the mixing weights that they share should move.

Movahedi et al., "Lambda-DARTS: Mitigating Performance Collapse by Harmonizing Operation Selection among Cells" (ICLR
2023). Each instance of a cell has a gradient of the loss of the weights in its own mixing weights; the weights learn to
raise the mean cosine of these gradients, by a finite difference along the direction in which it grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.searcher.engine.state.seeds import Randomness
from compiler.searcher.settings.axes import Align, AlignInstances

from .gradients import PLAIN, Gradients
from .protocol import Searchable

Loss = Callable[[], Tensor]
Cells = Mapping[str, Sequence[Tensor]]
"""A vector for each instance of a cell, by the cell's name."""


@dataclass(frozen=True)
class Alignment:
    """The term that a step of the weights adds to its gradient (Movahedi et al., ICLR 2023).

    ``cells`` are the mixing weights that a pass computes with; ``loss`` is the loss of the weights, added to no meter;
    ``weight`` is the factor of the mean cosines, and ``radius`` the norm of the displacement of all mixing weights.
    """

    cells: Cells
    loss: Loss
    weight: float
    radius: float

    @property
    def leaves(self) -> list[Tensor]:
        """The vectors of all cells, one after the other."""
        return [vector for cell in self.cells.values() for vector in cell]

    def gradients(
        self, loss: Loss, weights: Sequence[Tensor], kept: AbstractContextManager[None], gradient: Gradients = PLAIN
    ) -> tuple[list[Tensor | None], list[Tensor | None]]:
        """The gradient of a loss in the weights, and that of minus the weighted sum of mean cosines.

        Both passes of the difference draw the numbers of the pass of the loss. The vectors are left as they were.

        Args:
            loss: the same loss, for the pass that is counted.
            weights: those that learn.
            kept: a context that restores the buffers when it ends.
            gradient: how gradients are taken.
        """
        draw = Randomness.now(self.leaves[0].device)
        found = gradient.used(loss(), [*weights, *self.leaves])
        towards = self._directions(found[len(weights) :])
        norm = torch.stack(torch._foreach_norm(towards)).norm()
        eps = self.radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        present = [leaf.detach().clone() for leaf in self.leaves]
        sides = []
        with kept:
            for side in (-eps, eps):
                self._assign([at + side * d for at, d in zip(present, towards, strict=True)])
                draw.again(present[0].device)
                sides.append(gradient.used(self.loss(), weights))
        self._assign(present)
        factor = self.weight / (2 * eps)
        pairs = zip(*sides, strict=True)
        more = [None if minus is None or plus is None else factor * (minus - plus) for minus, plus in pairs]
        return list(found[: len(weights)]), more

    def _directions(self, slopes: Sequence[Tensor | None]) -> list[Tensor]:
        """How each of the leaves moves so that the mean cosines grow most, by the gradients of the loss in them."""
        found = iter(slopes)
        return [towards for cell in self.cells.values() for towards in cosine_gradient(_known(found, cell))]

    @torch.no_grad()
    def _assign(self, values: Sequence[Tensor]) -> None:
        torch._foreach_copy_(self.leaves, list(values))


@contextmanager
def aligned(searchable: Searchable, word: Align, weight: float, loss: Loss) -> Iterator[Alignment | None]:
    """A context for a step of the weights; None where the step aligns nothing.

    Args:
        searchable: the supernet whose instances are compared.
        word: the setting.
        weight: the current factor of the mean cosines.
        loss: the loss of the step.
    """
    if not isinstance(word, AlignInstances) or not weight:
        yield None
        return
    with searchable.apart() as cells:
        yield Alignment(cells, loss, weight, word.radius)


def cosines(searchable: Searchable, loss: Loss, gradient: Gradients = PLAIN) -> dict[str, float]:
    """The mean cosine of the instances of each cell, by name."""
    with searchable.apart() as cells:
        leaves = [vector for cell in cells.values() for vector in cell]
        found = iter(gradient(loss(), leaves))
        return {name: float(cosine(_known(found, cell))) for name, cell in cells.items()}


def cosine(slopes: Sequence[Tensor]) -> Tensor:
    """The mean cosine over all pairs of vectors, (n) each; 0 for a single vector."""
    count = len(slopes)
    if count < 2:
        return torch.zeros(())
    units = torch.stack([_unit(slope) for slope in slopes])
    return (units.sum(0).square().sum() - units.square().sum()) / (count * (count - 1))


def cosine_gradient(slopes: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of `cosine` in each of the vectors; zero for one that is zero itself."""
    count = len(slopes)
    if count < 2:
        return [torch.zeros_like(slope) for slope in slopes]
    units = [_unit(slope) for slope in slopes]
    total = torch.stack(units).sum(0)
    share = 2 / (count * (count - 1))
    found = []
    for unit, slope in zip(units, slopes, strict=True):
        norm = slope.norm()
        # Asked by `if`, a GPU would be waited for.
        found.append(torch.where(norm == 0, 0, share * (total - unit * (unit @ total)) / norm))
    return found


def _unit(slope: Tensor) -> Tensor:
    unit: Tensor = slope / slope.norm().clamp_min(torch.finfo(slope.dtype).tiny)
    return unit


def _known(slopes: Iterator[Tensor | None], cell: Sequence[Tensor]) -> list[Tensor]:
    """The next gradients, in the vectors of a cell; zero for None."""
    return [torch.zeros_like(vector) if (slope := next(slopes)) is None else slope for vector in cell]
