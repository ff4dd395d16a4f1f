"""Sampling and enumeration: architectures by numbers that are drawn, or one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from compiler.analysis.requirements.alive import lives
from compiler.analysis.requirements.constrained import check_feasible
from compiler.util.errors import UsageError

from .constraints import Verdict
from .space_list import Architecture, Architectures

TRIES = 300
"""How many architectures in a row may miss a requirement before sampling gives up."""

MOST_ASKED = 500_000
"""How many decisions are asked for a requirement, of architectures in a row that miss it, before a list gives up, or a
draw from one network, which is judged as fast as one of a list: without any compilation."""

TIMES = 20
"""How often each architecture of a small space is drawn, in the mean, before a draw gives up."""


def sample(listing: Architectures, count: int, seed: int = 0, weighted: bool = False) -> Iterator[Architecture]:
    """Architectures drawn independently over all those of a file that meet its requirements.

    Uniformly, or ``weighted``: in proportion to the product of the weights of the items that an architecture takes.
    Requirements on structure are counted with; the others are met by drawing again.

    Raises:
        UsageError: there is none, or none of many that were drawn meets the requirements, or that is not known.
    """
    listing.require_some()
    source = Random(seed)
    for index in range(count):
        sampler = '"weights"' if weighted else '"uniform"'
        yield _draw(listing, source, weighted, {"sampler": sampler, "seed": str(seed), "draw": str(index)})


def sample_living(listing: Architectures, count: int, seed: int = 0) -> Iterator[Architecture]:
    """As `sample`, over those architectures whose output depends on their input.

    Those of a grammar, whose number may not be known, are drawn by the weights of its items.

    Raises:
        UsageError: as `sample`, or next to none of many that were drawn is such an architecture.
    """
    given = 0
    for found in sample(listing, TRIES * count, seed, weighted=listing.grammar is not None):
        if lives(replace(listing.request, overrides=(), text=found.text).compile().network):
            given += 1
            yield found
        if given == count:
            return
    raise UsageError(f"of {TRIES * count} architectures that were drawn, the input reaches the output in {given}")


def _draw(listing: Architectures, source: Random, weighted: bool, notes: dict[str, str]) -> Architecture:
    nearest = Nearest(listing)
    for _ in range(_tries(listing)):
        found = listing.drawn(source, weighted, notes)
        if found is not None and nearest.meets(found):
            return found
    raise UsageError(f"{nearest.refusal()}{_rare(listing, nearest.tries, weighted)}")


def _tries(listing: Architectures) -> int:
    """How many draws may miss the requirements: more where a draw is judged without any compilation."""
    if listing.grammar is not None or len(listing.parts) > 1:
        return TRIES
    return max(TRIES, min(MOST_ASKED // (1 + len(listing.decisions)), TIMES * listing.number))


def _rare(listing: Architectures, tries: int, weighted: bool) -> str:
    """How rare architectures are that meet the requirements where none of so many draws did, and what finds one.

    Raises:
        UsageError: none meets them, which is certain.
    """
    if not tries or listing.grammar is not None:
        return ""
    for part in listing.parts:
        check_feasible(part.uncounted)
    if not weighted and tries >= TIMES * listing.number:
        return f"; there are {listing.number:,}, and each was drawn {TIMES} times in the mean"
    # Of a share p of all, n draws miss it with the probability (1 - p) ** n: 5% where p is 3 / n.
    share = "such draws" if weighted else "architectures"
    found = "`hdas search FILE --method random_search` finds some, though not uniformly"
    return f"; by 95% confidence fewer than 1 in {tries // 3:,} {share} meets it; {found}"


class Nearest:
    """The architecture that came nearest to meeting the requirements of a file."""

    def __init__(self, listing: Architectures) -> None:
        self.listing = listing
        self.tries = 0
        self.verdict: Verdict | None = None

    def meets(self, found: Architecture) -> bool:
        """Whether an architecture meets them."""
        verdict = found.verdict
        self.tries += 1
        if self.verdict is None or verdict.distance < self.verdict.distance:
            self.verdict = verdict
        return not verdict.distance

    def refusal(self) -> UsageError:
        """The error to raise if none did: how far the nearest is away."""
        if self.verdict is None:
            return UsageError(f"the network fits none of {TRIES} derivations that were drawn")
        broken = " and ".join(self.verdict.reasons)
        message = f"none of {self.tries:,} architectures meets `require {self.listing.uncounted}`"
        return UsageError(f"{message}: the nearest is {self.verdict.distance:.1%} away from `{broken}`")


def enumerate_all(listing: Architectures, limit: int | None = None) -> Iterator[Architecture]:
    """The architectures of a file that meet its requirements, in order of their numbers; at most ``limit`` of them.

    Raises:
        UsageError: there is none, or none of many in a row meets the requirements, or that is not known.
    """
    listing.require_some()
    given = 0
    nearest = Nearest(listing)
    for number in range(listing.number):
        if given == limit:
            return
        found = listing.architecture(number)
        if nearest.meets(found):
            given += 1
            nearest = Nearest(listing)
            yield found
        elif nearest.tries * (1 + len(listing.decisions)) > MOST_ASKED:
            raise nearest.refusal()
