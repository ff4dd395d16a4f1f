"""The expected cost of an architecture of a supernet, differentiable in its architecture parameters.

Every item counts by its probability, and items of different decisions by the product of theirs: the exact expectation
where architectures are drawn by independent decisions. The probabilities are the mixing weights, with two provisos.
Items that are never derived have no share: the others share theirs. A pick between menus has no parameters of its own:
each of its n candidates is there with probability k / n. For a pick of k with parameters, k times the softmax stands
for the probability that a candidate is among the k.

Cai, Zhu, Han, "ProxylessNAS" (ICLR 2019), section 3.3, and Wu et al., "FBNet" (CVPR 2019), section 3.2, for one level.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.analysis.costs.cost_polynomial import Formula
from compiler.backend.torch_modules.mixing import product
from compiler.ir.decision import Decision


class Expectation:
    """A formula over the weights of decisions: called with them, it gives a scalar."""

    def __init__(self, formula: Formula, decisions: Mapping[str, Decision]) -> None:
        named = {path for monomial in formula.terms for path, _ in monomial}
        self.decisions = {path: decision for path, decision in decisions.items() if path in named}
        offsets: dict[str, int] = {}
        total = 0
        for path, decision in self.decisions.items():
            offsets[path] = total
            total += len(decision.items)
        by_degree: dict[int, list[tuple[list[int], float]]] = {}
        for monomial, value in formula.terms.items():
            row = sorted(offsets[path] + item for path, item in monomial)
            by_degree.setdefault(len(row), []).append((row, float(value)))
        self.constant = sum(value for _, value in by_degree.pop(0, []))
        self.groups = [
            (torch.tensor([row for row, _ in group]), torch.tensor([value for _, value in group], dtype=torch.float64))
            for _, group in sorted(by_degree.items())
        ]
        self.derivable = {
            path: torch.tensor(decision.derivable, dtype=torch.float64)
            for path, decision in self.decisions.items()
            if not all(decision.derivable)
        }
        """1 for the items that can be derived, else 0, by the path of a decision that has others."""
        self.placed: dict[tuple[torch.device, torch.dtype], _Constants] = {}

    def __call__(self, weights: Mapping[str, Tensor]) -> Tensor:
        """The expectation where the items of each decision have these weights."""
        example = next(iter(weights.values()))
        total = example.new_full((), self.constant)
        if not self.groups:
            return total
        constants = self._constants(example)
        shares = torch.cat(
            [share(decision, weights, constants.derivable, example) for decision in self.decisions.values()]
        )
        for rows, values in constants.groups:
            total = total + (product(shares[rows].unbind(1)) * values).sum()
        return total

    def _constants(self, like: Tensor) -> _Constants:
        """The tensors of the formula where the weights are; a step does not wait for what it finds there."""
        key = like.device, like.dtype
        if key not in self.placed:
            self.placed[key] = _Constants(
                [(rows.to(like.device), values.to(like)) for rows, values in self.groups],
                {path: is_derivable.to(like) for path, is_derivable in self.derivable.items()},
            )
        return self.placed[key]


@dataclass(frozen=True)
class _Constants:
    """The tensors of a formula on one device, in one type."""

    groups: Sequence[tuple[Tensor, Tensor]]
    derivable: Mapping[str, Tensor]


def share(
    decision: Decision, weights: Mapping[str, Tensor], derivable: Mapping[str, Tensor], example: Tensor
) -> Tensor:
    """The probability of each item of a decision."""
    found = weights.get(decision.path)
    if found is None:
        return example.new_full((len(decision.items),), decision.most / len(decision.items))
    if decision.path not in derivable:
        return found
    kept = found * derivable[decision.path]
    return kept / kept.sum().clamp_min(torch.finfo(found.dtype).tiny)
