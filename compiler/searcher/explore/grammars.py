"""The architectures of a network with grammars as an explorer sees them: their numbers are their trees, written as one.

They are drawn, by weights or, where they are counted, uniformly, and mutated: the tree below one menu is drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random

from compiler.analysis.architectures.constraints import judge
from compiler.analysis.architectures.grammar_space import Drawn
from compiler.analysis.architectures.space_list import Part
from compiler.analysis.requirements.alive import lives
from compiler.analysis.requirements.evaluate import Requirements
from compiler.elaborate import Requirement
from compiler.ir.decision import Selection
from compiler.ir.undecided import MOST_ITEMS
from compiler.program.equivalence import Equivalence
from compiler.searcher.settings.exploring import Draw
from compiler.util.errors import UsageError

from .space import TRIES, Candidate, ExploredSpace

BASE = MOST_ITEMS + 1
"""Of numbers: digit 0 ends a tree, i + 1 is item i of the next menu."""


class ExploredGrammar(ExploredSpace):
    """The architectures of a network with grammars.

    Raises:
        UsageError: it has other choices, or architectures are to be judged up to an equivalence, or by a table.
    """

    def __init__(self, part: Part, only: Callable[[int], bool] | None = None, same: Equivalence | None = None) -> None:
        grammar = part.grammar
        assert grammar is not None, "it has grammars"
        self.grammar = grammar
        if only is not None or same is not None:
            raise UsageError(f"'{part.space.name}' has a grammar, whose architectures are in no table, nor alike")
        super().__init__(part)

    @property
    def count(self) -> int:
        """At least one: how many there are may not be known."""
        return 1

    def candidate(self, number: int) -> Candidate:
        """An architecture by its number; 0 is the first in source order."""
        if not number:
            first = self.grammar.first()
            assert first is not None, "the network was compiled with it"
            return self._of(first.selection)
        digits: list[int] = []
        while number > 1:
            number, digit = divmod(number, BASE)
            digits.append(digit)
        trees: list[list[int]] = [[]]
        for digit in reversed(digits):
            if digit:
                trees[-1].append(digit - 1)
            else:
                trees.append([])
        paths = (place.path for place in self.part.space.grammars)
        return self._of(dict(zip(paths, map(tuple, trees), strict=False)))

    def holds(self, number: int) -> bool:
        """Whether a number is that of trees."""
        try:
            return number >= 0 and self.grammar.of(self.candidate(number).choices) is not None
        except (KeyError, IndexError, StopIteration):
            return False

    def readable(self, found: Candidate) -> dict[str, str]:
        """The trees, as texts."""
        return self.described(found.choices)

    def described(self, chosen: Selection) -> dict[str, str]:
        """The trees, as texts."""
        return self._drawn(chosen).texts

    @property
    def required(self) -> Sequence[Requirement]:
        """What trees are asked for."""
        return self.grammar.network.requirements

    def lives(self, found: Candidate) -> bool:
        """Whether its output depends on its input."""
        return lives(self._drawn(found.choices).network)

    @property
    def listed(self) -> None:
        """Trees are not listed."""

    def _draw(self, source: Random, draw: Draw) -> Candidate:
        """An architecture, uniformly or by weights, whatever costs are required.

        Raises:
            UncountableError: uniform draws need their number, which is not known.
            UsageError: the network fits none of many trees.
        """
        for _ in range(TRIES):
            found = self.grammar.weighted(source) if draw is Draw.WEIGHTS else self.grammar.uniform(source)
            if found is not None:
                return self._of(found.selection)
        raise UsageError(f"'{self.name}' fits none of {TRIES} derivations that were drawn")

    def _steps(self, parent: Candidate, source: Random) -> Iterator[Candidate]:
        """Architectures in which the tree below one menu is another."""
        tree = self._drawn(parent.choices)
        for _ in range(TRIES):
            child = self.grammar.mutated(tree, source)
            if child is not None:
                found = self._of(child.selection)
                if found.number != parent.number:
                    yield found

    def _solved(self, source: Random) -> None:
        """Requirements of trees are not solved."""

    def _of(self, choices: Selection) -> Candidate:
        number = 1
        for place in self.part.space.grammars:
            for item in choices[place.path]:
                number = number * BASE + item + 1
            number *= BASE
        return Candidate(number, choices)

    def _drawn(self, chosen: Selection) -> Drawn:
        found = self.grammar.of(chosen)
        assert found is not None, "it was drawn"
        return found

    def _distance_of(self, number: int) -> float:
        network = self._drawn(self.candidate(number).choices).network
        return judge(Requirements(network), {}).distance if network.requirements else 0.0


def explored_space(part: Part, same: Equivalence | None = None) -> ExploredSpace:
    """The architectures of a network, with grammars or without.

    Raises:
        UsageError: as `ExploredSpace` and `ExploredGrammar`.
    """
    return ExploredGrammar(part, same=same) if part.space.grammars else ExploredSpace(part, same=same)
