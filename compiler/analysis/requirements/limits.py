"""Directions and upper limits of quantities under requirements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from compiler.elaborate import Requirement
from compiler.ir.conditions import senses, upper_bounds

from .evaluate import QuantityRef, quantities


@dataclass(frozen=True)
class Column:
    """A quantity in one sense: less of ``sign * total`` is better, and at most ``limit`` of that can be allowed.

    Of a quantity that is mentioned ``once``, a finite limit is all that matters.
    """

    total: QuantityRef
    sign: int
    limit: float = math.inf
    once: bool = False


def columns(requirements: Sequence[Requirement]) -> list[Column]:
    """The quantities of requirements, in each sense in which they matter, with the limits that hold of all that meet
    the requirements."""
    limits: dict[tuple[QuantityRef, int], float] = {}
    mentions: Counter[QuantityRef] = Counter()
    for requirement in requirements:
        mentions.update(quantities(requirement))
        for total, sense in senses(requirement.condition):
            limits.setdefault((QuantityRef(total, requirement.network), sense), math.inf)
        for bound in upper_bounds(requirement.condition):
            key = QuantityRef(bound.total, requirement.network), bound.sense
            limits[key] = min(limits.get(key, math.inf), bound.limit)
    return [Column(total, sign, limit, mentions[total] == 1) for (total, sign), limit in limits.items()]
