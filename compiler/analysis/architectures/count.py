"""The number of architectures of a file: exact where possible, else an exact number with an estimated share of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb, prod, sqrt
from random import Random

from compiler.analysis.architectures.equivalence.classes import MOST, EquivalenceKeys, UncountableClassesError, unique
from compiler.program.equivalence import Equivalence, equivalence
from compiler.util.errors import UsageError

from .space_list import Architectures

FEW = 1_000
"""Spaces of at most so many architectures are checked one by one."""

DRAWS = 200
"""How many architectures of a larger space are drawn and checked."""

PAIRED = 500
"""How many are drawn and compared where the number up to an equivalence is not known."""


@dataclass(frozen=True)
class Count:
    """How many architectures a file has.

    Args:
        number: of those that meet the requirements that can be counted with, up to the equivalence ``same``.
        unchecked: the requirements that ``number`` ignores, in the language.
        meeting: how many of ``asked`` architectures, all or a sample, meet these too.
        asked: how many were asked.
        same: the name of an equivalence, if one was asked for.
    """

    number: int
    unchecked: str = ""
    meeting: int = 0
    asked: int = 0
    same: str = ""

    @property
    def exact(self) -> int | None:
        """The number of architectures that meet all requirements, where it is known."""
        if not self.unchecked:
            return self.number
        if self.same:
            return None
        return self.meeting if self.asked == self.number else None

    @property
    def estimate(self) -> tuple[float, float]:
        """The estimated number of architectures that meet all requirements, and its standard error."""
        if self.exact is not None:
            return float(self.exact), 0.0
        share = self.meeting / self.asked
        return self.number * share, self.number * sqrt(share * (1 - share) / self.asked)

    def render(self) -> str:
        """The number as one line of text."""
        if self.same:
            before = f" before `require {self.unchecked}`" if self.unchecked else ""
            return f"{self.number:,} up to `{self.same}`{before}"
        if not self.unchecked:
            return f"{self.number:,}"
        if self.exact is not None:
            return f"{self.exact:,} of {self.number:,}, which `require {self.unchecked}` leaves"
        before = f"{self.number:,} before `require {self.unchecked}`"
        if self.meeting in (0, self.asked):  # a standard error of 0 would be wrong
            bound = 3 * self.number / self.asked  # 95% confidence: (1 - 3 / n) ** n is 5%
            most = f"all but {bound:.2g} at most" if self.meeting else f"fewer than {bound:.2g}"
            return f"{before}, {most} after it by 95% confidence ({self.meeting} of {self.asked} drawn meet it)"
        about, error = self.estimate
        sampled = f"{self.meeting} of {self.asked} drawn meet it"
        return f"{before}, about {about:.3g} +- {error:.2g} after it ({sampled})"


def count(listing: Architectures, seed: int = 0, same: str = "", graphs: int = MOST) -> Count:
    """The number of architectures of a file.

    Args:
        listing: the architectures.
        seed: of the sample that an estimate comes from.
        same: the name of the equivalence up to which they are counted.
        graphs: how many graphs of one text are compared for that at most; 10,000 take some seconds.

    Raises:
        UsageError: the equivalence is unknown, or whether an architecture meets a requirement is not known; or the
            number up to the equivalence is not known, then the message has a lower bound of it.
        UncountableError: the file has a structure that is not counted.
    """
    number = listing.number
    if listing.grammar:
        return _of_grammar(listing, number, same, Random(seed))
    if same:
        kind = equivalence(listing.program.equivalences, same)
        try:
            found = prod(unique(part.space, kind, graphs) for part in listing.parts)
        except UncountableClassesError as reason:
            raise UncountableClassesError(f"{reason}; {_bound(listing, kind, Random(seed))}") from None
        return Count(found, listing.uncounted, same=same)
    if not listing.uncounted or not number:
        return Count(number)
    source = Random(seed)
    asked = range(number) if number <= FEW else [source.randrange(number) for _ in range(DRAWS)]
    meeting = sum(not listing.architecture(rank).verdict.distance for rank in asked)
    return Count(number, listing.uncounted, meeting, len(asked))


def _of_grammar(listing: Architectures, number: int, same: str, source: Random) -> Count:
    """The number of architectures of a network with grammars, and how many of some drawn ones meet its requirements."""
    if same:
        raise UsageError("architectures of a grammar are not counted up to an equivalence")
    if not listing.uncounted or not number:
        return Count(number)
    drawn = [listing.drawn(source, False, {}) for _ in range(DRAWS)]
    meeting = sum(found is not None and not found.verdict.distance for found in drawn)
    return Count(number, listing.uncounted, meeting, len(drawn))


def _bound(listing: Architectures, same: Equivalence, source: Random) -> str:
    """A lower bound of the number of classes from drawn pairs: m or more where one in m pairs is equivalent."""
    readers = [EquivalenceKeys(part.space, same) for part in listing.parts]
    drawn = (listing.choices(source.randrange(listing.number)) for _ in range(PAIRED))
    keys = Counter(
        tuple(reader.key(chosen) for reader, chosen in zip(readers, choices, strict=True)) for choices in drawn
    )
    pairs, alike = comb(PAIRED, 2), sum(comb(often, 2) for often in keys.values())
    if not alike:
        return f"no two of {PAIRED} that were drawn are alike: it is more than {pairs // 3:,}, by 95% confidence"
    about, error = pairs / alike, pairs / alike / sqrt(alike)
    return f"{alike} of {pairs:,} pairs that were drawn are alike: it is {about:.3g} +- {error:.2g} or more"
