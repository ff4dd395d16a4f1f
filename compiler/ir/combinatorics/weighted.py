"""Draws of ways by the weights of what they decide: the probability of a way is the product of the chances in it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import exp, inf, log
from random import Random

from .circuit import Circuit, Literal, Or, inner_first

Probability = Callable[[str, int | None], float]
"""The probability of an item that a decision takes, above 0, and, for None, of a pick that exists."""


class WeightedWays:
    """The ways of a circuit, each with the product of its chances, as a share of the sum over all ways.

    A grammar's chances add up to 1 over the items of a decision, and so over all ways: then the share is the product.
    Where requirements leave ways out, it is the probability of a way among those that are left.

    Args:
        circuit: the ways.
        probability: of a decision and an item.
    """

    def __init__(self, circuit: Circuit, probability: Probability) -> None:
        self.circuit, self.probability = circuit, probability

    @cached_property
    def _logs(self) -> dict[int, float]:
        """The logarithm of the sum over the ways of each part: a product over hundreds of decisions may be no float."""
        known: dict[int, float] = {}
        for part, _ in inner_first(self.circuit):
            match part:
                case Literal(decision, items):
                    known[id(part)] = sum(log(self.probability(decision, item)) for item in items or (None,))
                case Or(parts):
                    each = [known[id(inner)] for inner in parts]
                    top = max(each, default=-inf)
                    known[id(part)] = top + log(sum(exp(one - top) for one in each)) if each else top
                case _:
                    known[id(part)] = sum(known[id(inner)] for inner in part.parts)
        return known

    def draw(self, source: Random) -> dict[str, tuple[int, ...]]:
        """A way by its share, without decisions that do not exist there; raises IndexError where there is none."""
        if not self.circuit.number:
            raise IndexError("there is no way")
        found: dict[str, tuple[int, ...]] = {}
        pending = [self.circuit]
        while pending:
            part = pending.pop()
            match part:
                case Literal(decision, items):
                    found[decision] = tuple(sorted((*found.get(decision, ()), *items)))
                case Or(parts):
                    whole = self._logs[id(part)]
                    (drawn,) = source.choices(parts, [exp(self._logs[id(inner)] - whole) for inner in parts])
                    pending.append(drawn)
                case _:
                    pending += reversed(part.parts)
        return found
