"""The architectures of one network as an explorer sees them: exact numbers, their choices, and steps between them.

What is proposed meets everything that the network requires: structure by the circuit that counts the space, the rest by
drawing again, and where next to no draw meets it by mending draws (`repair`). Ties and choices under conditions are
those of the space, since nothing is flattened.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf
from random import Random

from compiler.analysis.architectures.constraints import judge
from compiler.analysis.architectures.equivalence.classes import EquivalenceKeys
from compiler.analysis.architectures.moves import changed, changes, crossed, redrawn
from compiler.analysis.architectures.space_list import Part
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.requirements.alive import selects_life
from compiler.derivation.strongest import readable
from compiler.elaborate import Requirement
from compiler.ir.combinatorics.circuit import rank_of, way
from compiler.ir.decision import Selection
from compiler.program.equivalence import Equivalence, equivalence
from compiler.searcher.settings.exploring import Draw
from compiler.util.errors import UsageError

from .repair import mended, solved

TRIES = 300
"""How many draws in a row may miss a requirement before they are mended, or given up."""

FEW = 10
"""So many are drawn before where next to no architecture meets what is required: the nearest of them is mended."""

MENDED = 8
"""How often a draw is mended before the requirements are solved instead."""

REMEMBERED = 4096
"""How many architectures are remembered with whether they meet what is required; no larger space is listed."""


class NoneMeetsError(UsageError):
    """Of many architectures that were proposed none may be."""


@dataclass(frozen=True)
class Candidate:
    """An architecture: its number in the space, and the items of every decision that exists in it."""

    number: int
    choices: Selection


class ExploredSpace:
    """The architectures of a network.

    Args:
        part: the network, in its program.
        only: whether an architecture may be proposed, by its number, beside what is required; None: any.
        same: the equivalence up to which architectures are judged once.

    Raises:
        UsageError: it has a structure that is not counted, nothing to choose, or no architecture.
    """

    def __init__(self, part: Part, only: Callable[[int], bool] | None = None, same: Equivalence | None = None) -> None:
        self.part, self.only = part, only
        self.alike = None if same is None else EquivalenceKeys(part.space, same)
        self._key = lru_cache(REMEMBERED)(self._key_of)
        self.name = part.space.name
        self._distance = lru_cache(REMEMBERED)(self._distance_of)
        self.scarce = lru_cache(len(Draw))(self._is_scarce)
        if not part.space.is_space:
            raise UsageError(f"'{self.name}' is an architecture: there is nothing to choose in it")
        if not self.count:
            raise UsageError(f"'{self.name}' has no architecture: its requirements leave none")

    @cached_property
    def count(self) -> int:
        """How many architectures there are, before the requirements that only an architecture can be asked for."""
        try:
            return self.part.circuit.number
        except UncountableError as reason:
            message = f"an explorer draws architectures by their numbers, and those of '{self.name}' have none"
            raise UsageError(f"{message}: {reason.message}") from None

    def candidate(self, number: int) -> Candidate:
        """An architecture by its number; raises IndexError where there are not so many."""
        return Candidate(number, way(self.part.circuit, number))

    def holds(self, number: int) -> bool:
        """Whether there is an architecture of that number."""
        return 0 <= number < self.count

    @cached_property
    def listed(self) -> list[Candidate] | None:
        """Every architecture that may be proposed, where the space is small enough to list them."""
        if self.count > REMEMBERED:
            return None
        return [self.candidate(number) for number in range(self.count) if self.meets(number)]

    @property
    def required(self) -> Sequence[Requirement]:
        """What only an architecture can be asked for."""
        return self.part.uncounted.requirements

    def lives(self, found: Candidate) -> bool:
        """Whether its output depends on its input."""
        return selects_life(self.part.space, self.completed(found))

    def key(self, number: int) -> Hashable:
        """A key that equivalent architectures share, and no others; the number where no equivalence is set."""
        return number if self.alike is None else self._key(number)

    def completed(self, found: Candidate) -> Selection:
        """Its decisions, with some item for each decision that does not exist in it."""
        return self.part.completed(found.choices)

    def readable(self, found: Candidate) -> dict[str, str]:
        """The items that it takes of each decision that exists in it, as a person reads them."""
        return readable(self.part.space.decisions, found.choices)

    def described(self, chosen: Selection) -> dict[str, str]:
        """The items of these decisions, whether they exist or not, as a person reads them."""
        return readable(self.part.space.decisions, chosen)

    # ------------------------------------------------------------ proposals

    def drawn(self, source: Random, draw: Draw = Draw.UNIFORM) -> Candidate:
        """An architecture, uniformly or by weights, of all that meet the requirements.

        Where next to none meets them: uniformly of those that are listed, or a draw that is mended (`repair`).

        Raises:
            NoneMeetsError: no architecture was found that meets them.
        """

        def propose() -> Candidate:
            return self._draw(source, draw)

        found = self._tried(propose, FEW)
        if found is None and not self.scarce(draw):
            found = self._tried(propose, TRIES - FEW)
        if found is not None:
            return found
        if draw is Draw.UNIFORM and self.listed:
            return source.choice(self.listed)
        return self._within(propose, source)

    def _draw(self, source: Random, draw: Draw) -> Candidate:
        """An architecture, uniformly or by weights, whatever costs are required."""
        if draw is Draw.WEIGHTS:
            return self._of(self.part.weighted.draw(source))
        return self.candidate(source.randrange(self.count))

    def _is_scarce(self, draw: Draw) -> bool:
        """Whether none of many draws meets the requirements: the same ones whatever else was drawn."""
        source = Random(0)
        return self._tried(lambda: self._draw(source, draw), TRIES) is None

    def _within(self, propose: Callable[[], Candidate], source: Random) -> Candidate:
        """An architecture that meets the requirements, near draws that do not.

        Raises:
            NoneMeetsError: none was found.
        """
        nearest = inf
        for _ in range(MENDED if self.only is None and self.listed != [] else 1):
            start = min((propose() for _ in range(FEW)), key=self.distance)
            found = mended(start, self.distance, lambda parent: self._steps(parent, source))
            if self.meets(found.number):
                return found
            nearest = min(nearest, self.distance(found))
        why = ""
        if self.only is None and self.listed is None:
            try:
                solution = self._solved(source)
            except UsageError as reason:
                solution, why = None, str(reason)
            if solution is not None and self.meets(solution.number):
                return solution
        raise self._none_meets(nearest, why)

    def _solved(self, source: Random) -> Candidate | None:
        """An architecture that meets the requirements by solving them; raises UsageError where there is none."""
        found = solved(self.part, source)
        return None if found is None else self._of(found)

    def mutated(self, parent: Candidate, source: Random) -> Candidate | None:
        """The parent with one choice decided otherwise, and what depends on it; None where it has no neighbour.

        The choice is drawn uniformly among those that exist, then its new item among those that it may have.
        """
        return next(self.neighbours(parent, source), None)

    def neighbours(self, parent: Candidate, source: Random) -> Iterator[Candidate]:
        """All architectures that differ in one choice, and in what depends on it, in random order."""
        return (child for child in self._steps(parent, source) if self.meets(child.number))

    def _steps(self, parent: Candidate, source: Random) -> Iterator[Candidate]:
        """All neighbours in random order, whether they meet the requirements or not."""
        for _, path, items in changes((self.part,), (parent.choices,), source):
            if (child := changed(self.part, parent.choices, path, items, source)) is not None:
                yield self._of(child)

    def decided(self, parent: Candidate, path: str, items: tuple[int, ...], source: Random) -> Candidate | None:
        """The parent with one choice decided as stated, and what depends on it; None where that may not be."""
        child = changed(self.part, parent.choices, path, items, source)
        found = None if child is None else self._of(child)
        return found if found is not None and self.meets(found.number) else None

    def redrawn(self, parent: Candidate, rate: float, source: Random) -> Candidate:
        """The parent, each of whose choices is drawn again with the probability ``rate``; it may equal the parent.

        Raises:
            NoneMeetsError: no such architecture of many meets the requirements.
        """
        return self._meeting(lambda: self._of(redrawn(self.part, parent.choices, rate, source)))

    def crossed(self, left: Candidate, right: Candidate, source: Random) -> Candidate:
        """An architecture that takes each choice from one of two parents, by a fair coin.

        Raises:
            NoneMeetsError: no such architecture of many meets the requirements.
        """
        return self._meeting(lambda: self._of(crossed(self.part, left.choices, right.choices, source)))

    def _of(self, choices: Selection) -> Candidate:
        return Candidate(rank_of(self.part.circuit, choices), choices)

    def _key_of(self, number: int) -> Hashable:
        assert self.alike is not None
        found = self.alike.key(way(self.part.circuit, number))
        assert isinstance(found, Hashable)
        return found

    def _tried(self, propose: Callable[[], Candidate], tries: int) -> Candidate | None:
        """The first of so many proposals that meets the requirements."""
        proposals = (propose() for _ in range(tries))
        return next((found for found in proposals if self.meets(found.number)), None)

    def _meeting(self, propose: Callable[[], Candidate]) -> Candidate:
        if (found := self._tried(propose, TRIES)) is not None:
            return found
        raise self._none_meets(inf, "")

    def _none_meets(self, nearest: float, why: str) -> NoneMeetsError:
        """The error of a space of which nothing that was proposed meets what is required."""
        required = " and ".join(map(str, self.required))
        misses = [f"meets `require {required}`"] if required else []
        misses += [] if self.only is None else ["is in the table"]
        proposed = f"{TRIES} architectures proposed" if self.listed != [] else f"all {self.count:,} architectures"
        message = f"of {proposed} of '{self.name}', none {' and '.join(misses)}"
        if 0 < nearest < inf:
            message += f"; changes of one choice after the other end {nearest:.1%} away from that"
        return NoneMeetsError(f"{message}; {why}" if why else message)

    def meets(self, number: int) -> bool:
        """Whether an architecture of that number may be proposed."""
        return (self.only is None or self.only(number)) and not self._distance(number)

    def distance(self, found: Candidate) -> float:
        """How far an architecture is from meeting the requirements; 0 where it does."""
        return self._distance(found.number)

    def _distance_of(self, number: int) -> float:
        if not self.part.uncounted:
            return 0.0
        return judge(self.part.uncounted, self.part.completed(way(self.part.circuit, number))).distance


def same_of(part: Part, name: str | None) -> Equivalence | None:
    """The equivalence of a name, up to which architectures are judged once; raises UsageError where there is none."""
    return None if name is None else equivalence(part.program.equivalences, name, "unique =")
