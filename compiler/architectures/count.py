"""Counting a file: exactly wherever that is possible, else what is exact and an estimate of the rest."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from random import Random

from .listing import Architectures

FEW = 1_000
"""Up to so many architectures are asked one by one."""

DRAWS = 200
"""So many are asked of a larger space."""


@dataclass(frozen=True)
class Count:
    """How many architectures a file has.

    ``number`` heeds what can be counted with. Where ``heedless`` names further requirements, ``meeting`` of the
    ``asked`` architectures meet them too; all were asked, or a uniform sample.
    """

    number: int
    heedless: str = ""
    meeting: int = 0
    asked: int = 0

    @property
    def exact(self) -> int | None:
        """The number of architectures that meet everything, where it is known."""
        if not self.heedless:
            return self.number
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
        if not self.heedless:
            return f"{self.number:,}"
        if self.exact is not None:
            return f"{self.exact:,} of {self.number:,}, which `require {self.heedless}` leaves"
        about, error = self.estimate
        sampled = f"{self.meeting} of {self.asked} drawn meet it"
        return (
            f"{self.number:,} before `require {self.heedless}`, about {about:.3g} +- {error:.2g} after it ({sampled})"
        )


def count(listing: Architectures, seed: int = 0) -> Count:
    """The number of architectures of a file; an estimate comes from a sample of this seed."""
    number = listing.number
    if not listing.limits or not number:
        return Count(number)
    source = Random(seed)
    asked = range(number) if number <= FEW else [source.randrange(number) for _ in range(DRAWS)]
    meeting = sum(not listing.limits.judge(listing.architecture(rank)).distance for rank in asked)
    return Count(number, str(listing.limits), meeting, len(asked))
