"""The weights of the items of decisions: those of alphas, and those of an architecture."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from compiler.ir.decision import Decision, DecisionKind, Selection


def mixing(decision: Decision, alpha: Tensor) -> Tensor:
    """The weights of a decision's items, (items): softmax; k times softmax for a pick of k; else a sigmoid of each.

    Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2.
    """
    if decision.independent:
        return alpha.sigmoid()
    if decision.kind is DecisionKind.PICK:
        return decision.most * alpha.softmax(0)
    return alpha.softmax(0)


def one_hot(decisions: Mapping[str, Decision], chosen: Selection) -> dict[str, Tensor]:
    """Mixing weights that select an architecture: one for what is chosen, zero elsewhere and on edges not picked."""
    weights: dict[str, Tensor] = {}
    for path, decision in decisions.items():
        weights[path] = torch.zeros(len(decision.items))
        weights[path][list(chosen[path])] = 1.0
    for path, decision in decisions.items():
        for index, candidate in enumerate(decision.candidates):
            if index not in chosen[path] and candidate is not None:
                weights[candidate] = torch.zeros_like(weights[candidate])
    return weights
