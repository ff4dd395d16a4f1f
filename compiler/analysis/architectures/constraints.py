"""Requirements that counting leaves out, asked of one architecture at a time.

They are about costs, about a structure that is not counted, or stand in the `train` section. An architecture is judged
as what it is: decisions of its space, in the file, with the plugins and beside the tables of that space.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.analysis.requirements.evaluate import Requirements
from compiler.ir.decision import Selection
from compiler.util.errors import UsageError


@dataclass(frozen=True)
class Verdict:
    """How far an architecture is from meeting requirements.

    ``distance`` is the sum of their shortfalls, relative to what is asked for; 0 where all are met. ``reasons`` are the
    conditions that are not.
    """

    distance: float = 0.0
    reasons: tuple[str, ...] = ()

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(self.distance + other.distance, self.reasons + other.reasons)


def judge(wanted: Requirements, chosen: Selection) -> Verdict:
    """Ask an architecture of a space, given by its decisions, for requirements.

    Raises:
        UsageError: whether it meets one is not known; the message says why.
    """
    verdict = Verdict()
    for requirement in wanted.requirements:
        try:
            shortfall = wanted.shortfall(requirement, chosen)
        except UndefinedQuantityError as reason:
            raise UsageError(f"`require {requirement}` cannot be checked: {reason}") from None
        if shortfall:
            verdict += Verdict(shortfall, (str(requirement),))
    return verdict
