"""Counting a file: exactly wherever that is possible, else what is exact and an estimate of the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb, prod, sqrt
from random import Random

from compiler.analysis.architectures.equivalence.classes import Alike, Unclear, unique
from compiler.program.equivalence import Equivalence, equivalence

from .space_list import Architectures

FEW = 1_000
"""Up to so many architectures are asked one by one."""

DRAWS = 200
"""So many are asked of a larger space."""

PAIRED = 500
"""So many are compared with each other where the number up to an equivalence is not known."""


@dataclass(frozen=True)
class Count:
    """How many architectures a file has.

    ``number`` heeds what can be counted with, up to the equivalence ``same`` where one is named. Where ``unchecked``
    names further requirements, ``meeting`` of the ``asked`` architectures meet them too; all were asked, or a sample.
    """

    number: int
    unchecked: str = ""
    meeting: int = 0
    asked: int = 0
    same: str = ""

    @property
    def exact(self) -> int | None:
        """The number of architectures that meet everything, where it is known."""
        if not self.unchecked:
            return self.number
        if self.same:
            return None
        return self.meeting if self.asked == self.number else None

    @property
    def estimate(self) -> tuple[float, float]:
        """About how many meet everything, with the standard error of that."""
        if self.exact is not None:
            return float(self.exact), 0.0
        share = self.meeting / self.asked
        return self.number * share, self.number * sqrt(share * (1 - share) / self.asked)

    def render(self) -> str:
        """One line for people."""
        if self.same:
            before = f" before `require {self.unchecked}`" if self.unchecked else ""
            return f"{self.number:,} up to `{self.same}`{before}"
        if not self.unchecked:
            return f"{self.number:,}"
        if self.exact is not None:
            return f"{self.exact:,} of {self.number:,}, which `require {self.unchecked}` leaves"
        about, error = self.estimate
        sampled = f"{self.meeting} of {self.asked} drawn meet it"
        return (
            f"{self.number:,} before `require {self.unchecked}`, about {about:.3g} +- {error:.2g} after it ({sampled})"
        )


def count(listing: Architectures, seed: int = 0, same: str = "") -> Count:
    """The number of architectures of a file; an estimate comes from a sample of this seed.

    Args:
        listing: the architectures.
        seed: of the sample.
        same: the equivalence up to which they are counted, by its name.

    Raises:
        UsageError: the equivalence is unknown; or the number up to it is, then the message has a lower bound for it.
    """
    number = listing.number
    if same:
        kind = equivalence(listing.program.equivalences, same)
        try:
            found = prod(unique(part.space, kind) for part in listing.parts)
        except Unclear as reason:
            raise Unclear(f"{reason}; {_bound(listing, kind, Random(seed))}") from None
        return Count(found, listing.uncounted, same=same)
    if not listing.uncounted or not number:
        return Count(number)
    source = Random(seed)
    asked = range(number) if number <= FEW else [source.randrange(number) for _ in range(DRAWS)]
    meeting = sum(not listing.architecture(rank).verdict.distance for rank in asked)
    return Count(number, listing.uncounted, meeting, len(asked))


def _bound(listing: Architectures, same: Equivalence, source: Random) -> str:
    """What pairs of drawn architectures say: if one in m pairs is alike, there are m classes of equal size, or more."""
    readers = [Alike(part.space, same) for part in listing.parts]
    drawn = (listing.choices(source.randrange(listing.number)) for _ in range(PAIRED))
    keys = Counter(
        tuple(reader.key(chosen) for reader, chosen in zip(readers, choices, strict=True)) for choices in drawn
    )
    pairs, alike = comb(PAIRED, 2), sum(comb(often, 2) for often in keys.values())
    if not alike:
        return f"no two of {PAIRED} that were drawn are alike: it is more than {pairs // 3:,}, by 95% confidence"
    about, error = pairs / alike, pairs / alike / sqrt(alike)
    return f"{alike} of {pairs:,} pairs that were drawn are alike: it is {about:.3g} +- {error:.2g} or more"
