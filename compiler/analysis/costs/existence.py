"""When a node of a space exists, as a function of decisions: which items they must take for it to stand in the network.

The rule is that of `compiler.ir.existence`, read from the output back as `compiler.derivation.presence` does it for
decisions that are made: here what needs a node is written down as a disjunction of monomials.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from compiler.derivation.presence import ends
from compiler.elaborate import BodyElaboration
from compiler.ir.decision import Decision
from compiler.ir.existence import ALWAYS, ItemTaken, Monomial, needs
from compiler.ir.graph import SpaceGraph, is_auxiliary
from compiler.util.errors import HdasError

MOST = 4096
"""How many alternatives of the existence of one node are distinguished."""

MOST_COMPARED = 1024
"""How many of them are compared with each other, which takes the square of their number."""


class ExistenceTooComplexError(HdasError):
    """A node exists in too many different ways to be written down, or under too many decisions at once."""

    exit_code = 1

    def __init__(self) -> None:
        super().__init__("a quantity of this space depends on too many decisions at once to be known")


class Conditions:
    """The conditions of the nodes of graphs, as disjunctions of monomials.

    Args:
        decisions: of the space.
    """

    def __init__(self, decisions: Mapping[str, Decision]) -> None:
        self.decisions = decisions
        self.single = frozenset(path for path, decision in decisions.items() if decision.takes_one)

    def of(self, graph: SpaceGraph, text: BodyElaboration | None, prune: bool) -> dict[int, list[tuple[Monomial, int]]]:
        """Per node, signed monomials whose sum is 1 where it exists and 0 elsewhere.

        With ``prune`` only what the output needs does; that picks may take nothing is ignored.

        Raises:
            ExistenceTooComplexError: where that would be too long.
        """
        found: dict[int, set[Monomial]] = {index: set() for index, _ in graph.order()}
        for index, monomials in ends(graph, text, self.decisions, prune).items():
            found[index] |= {m for monomial in monomials if (m := self.joined(ALWAYS, monomial)) is not None}
        for index, node in reversed(list(graph.order())):
            if is_auxiliary(node):
                continue
            here = self.simplest(found[index])
            found[index] = here
            for slot, source in enumerate(graph.sources(index)):
                for literals in needs(node.payload, slot, graph.node(source).payload):
                    found[source] |= {joined for m in here if (joined := self.joined(m, literals)) is not None}
        return {index: self.signed(conditions) for index, conditions in found.items()}

    def joined(self, left: Monomial, right: Iterable[ItemTaken]) -> Monomial | None:
        """Both together; None where they take two items of a decision that has only one."""
        together = left | frozenset(right)
        single = [decision for decision, _ in together if decision in self.single]
        return together if len(single) == len(set(single)) else None

    def simplest(self, conditions: Collection[Monomial]) -> set[Monomial]:
        """Without what others imply; where every item of a decision will do, the decision does not matter."""
        found = set(conditions)
        while ALWAYS not in found:
            items: dict[tuple[Monomial, str], set[int]] = {}
            for monomial in found:
                for decision, item in monomial:
                    if decision in self.single:
                        items.setdefault((monomial - {(decision, item)}, decision), set()).add(item)
            merged = {rest for (rest, name), seen in items.items() if len(seen) == len(self.decisions[name].items)}
            if merged <= found:
                break
            found = self.minimal(found | merged)
        return {ALWAYS} if ALWAYS in found else self.minimal(found)

    @staticmethod
    def minimal(conditions: Collection[Monomial]) -> set[Monomial]:
        """Without what others imply."""
        if len(conditions) > MOST_COMPARED:
            raise ExistenceTooComplexError
        return {m for m in conditions if not any(other < m for other in conditions)}

    def signed(self, conditions: Collection[Monomial]) -> list[tuple[Monomial, int]]:
        """A disjunction as a sum, by inclusion and exclusion; conditions that exclude each other just add up."""
        total: dict[Monomial, int] = {}
        for condition in sorted(conditions, key=sorted):
            more = {condition: 1}
            for monomial, sign in total.items():
                both = self.joined(monomial, condition)
                if both is not None:
                    more[both] = more.get(both, 0) - sign
            for monomial, sign in more.items():
                total[monomial] = total.get(monomial, 0) + sign
            if len(total) > MOST:
                raise ExistenceTooComplexError
        return [(monomial, sign) for monomial, sign in total.items() if sign]
