"""Draws of independent picks with bounds: each item by its sigmoid, provided that neither few nor many are taken.

Item after item is drawn by its probability given those before, from the sums over subsets of those that follow. So a
draw is again that of noisy logits above zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.ir.decision import Decision

FAR = 1e4
"""The odds, as a logarithm, of what must be taken; where they are minus that, of what cannot be."""


def within_bounds(decision: Decision, logits: Sequence[float], noise: Sequence[float]) -> list[float]:
    """Noise whose sum with the logits is above zero for the items that a pick takes: as many as it may.

    Args:
        decision: an independent pick.
        logits: of each item without noise, (items).
        noise: logistic noise, (items).
    """
    after = [[0.0]]  # of the last items, the logarithms of the sums over subsets of each size
    for logit in reversed(logits):
        after.append(_with_one_more(after[-1], logit))
    found: list[float] = []
    taken = 0
    for logit, shift, rest in zip(logits, noise, reversed(after[:-1]), strict=True):
        here = logit + _total(rest, decision, taken + 1) - _total(rest, decision, taken)
        odds = min(max(here, -FAR), FAR) + shift
        taken += odds > 0
        found.append(odds - logit)
    return found


def _with_one_more(sums: Sequence[float], logit: float) -> list[float]:
    """The logarithms of sums over subsets of each size, of one item more."""
    without, with_it = [*sums, -math.inf], [-math.inf, *(total + logit for total in sums)]
    return [_add(one, other) for one, other in zip(without, with_it, strict=True)]


def _total(sums: Sequence[float], decision: Decision, taken: int) -> float:
    """The logarithm of the sum over the sizes that bring what is taken within the bounds; finite, if far below."""
    total = -math.inf
    for size in range(max(decision.least - taken, 0), min(decision.most - taken, len(sums) - 1) + 1):
        total = _add(total, sums[size])
    return max(total, -2 * FAR)


def _add(one: float, other: float) -> float:
    """log(exp(one) + exp(other))."""
    high, low = max(one, other), min(one, other)
    return high if low == -math.inf else high + math.log1p(math.exp(low - high))


def log_normaliser(decision: Decision, logits: Tensor) -> Tensor:
    """The logarithm of the sum of exp(sum of logits) over all that a pick may take, a scalar; differentiable."""
    sums = [logits.new_zeros(())]  # of each size
    for logit in logits:
        grown = [sums[0]]
        grown += [torch.logaddexp(sums[size], sums[size - 1] + logit) for size in range(1, len(sums))]
        sums = [*grown, sums[-1] + logit]
    return torch.stack(sums[decision.least : decision.most + 1]).logsumexp(0)
