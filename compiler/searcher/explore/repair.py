"""Architectures within a budget that next to no draw meets: draws that are mended, one choice after the other.

Where single steps come no nearer, the requirements are solved as a derivation solves them
(`compiler.analysis.requirements.constrained`), for strengths that are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log
from random import Random
from typing import TypeVar

from compiler.analysis.architectures.space_list import Part
from compiler.analysis.requirements.constrained import derive_within
from compiler.analysis.requirements.evaluate import Requirements
from compiler.ir.combinatorics.circuit import way_of
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import By

Found = TypeVar("Found")


def mended(start: Found, distance: Callable[[Found], float], steps: Callable[[Found], Iterator[Found]]) -> Found:
    """Where steps from a start lead, each of which comes nearer: at the distance 0, or where none comes nearer.

    Args:
        start: what is mended.
        distance: how far something is from what is required; 0 where it meets that.
        steps: what lies one step from something, in random order: the first that is nearer is taken.
    """
    found, left = start, distance(start)
    while left:
        for there in steps(found):
            if (away := distance(there)) < left:
                found, left = there, away
                break
        else:
            return found
    return found


def solved(part: Part, source: Random) -> Selection | None:
    """An architecture that meets all requirements: the best by Gumbel noise on the items; None where none is found.

    Without requirements that would be a uniform draw of each decision (Papandreou and Yuille, "Perturb-and-MAP random
    fields", ICCV 2011).

    Raises:
        UsageError: no architecture meets the requirements, or none was found; the message says why.
    """
    space = part.space
    counted = [item for item in space.requirements if item not in part.uncounted.requirements]
    wanted = Requirements(space, [*counted, *part.uncounted.requirements])
    noise = {path: [_gumbel(source) for _ in decision.items] for path, decision in space.decisions.items()}
    return way_of(part.circuit, derive_within(wanted, noise, By.LOGIT).chosen)


def _gumbel(source: Random) -> float:
    return -log(source.expovariate(1.0) or 1.0)
