"""The mixing weights of each instance of a cell: a pass computes with vectors of their own, which start alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from compiler.backend.passes.apart import cells
from compiler.ir.decision import Decision

Names = Mapping[str, Mapping[str, str]]
"""What weights are called in each instance, by its scope and by the path of the decision (`passes.apart`)."""


@dataclass
class Instances:
    """Which names the mixing weights of menus have in the instances of cells.

    ``names`` are those of all instances; ``vectors``, while they are set, what passes compute with, by scope.
    """

    names: Names
    decisions: Mapping[str, Decision]
    vectors: dict[str, Tensor] = field(default_factory=dict)

    def weights(self, shared: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights by path, and by the names of instances: their own where they have some."""
        found = dict(shared)
        for scope, own in self.names.items():
            if scope not in self.vectors:
                found |= {name: shared[path] for path, name in own.items()}
                continue
            parts = self.vectors[scope].split([len(self.decisions[path].items) for path in own])
            found |= dict(zip(own.values(), parts, strict=True))
        return found

    def separate(self, shared: Mapping[str, Tensor]) -> dict[str, list[Tensor]]:
        """Give each instance a vector of its own that holds the weights of now; those of each cell that has several.

        Returns:
            Leaves, (weights of all menus of the cell) each, by the name of the cell.
        """
        found: dict[str, list[Tensor]] = {}
        for scopes in cells(self.names):
            for scope in scopes:
                vector = torch.cat([shared[path].detach() for path in self.names[scope]])
                self.vectors[scope] = vector.clone().requires_grad_()
            copy = self.decisions[next(iter(self.names[scopes[0]]))].copy
            found[copy if copy not in found else f"{copy} of {scopes[0]}"] = [self.vectors[scope] for scope in scopes]
        return found
