"""When a node of a space exists: which items decisions must take for it to stand in the derived network.

Lines exist unless they lie past the end of their family. What an expression makes on the way exists where a line that
exists needs it: through the items that a mix takes and the candidates that a pick takes. Under `prune` lines exist only
where the output needs them, and an operation on an absent tensor is absent (`derivation.presence`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import TypeAlias

from compiler.elaborate import BodyElaboration
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Mix, Weigh
from hdas_dsl.tree.words import element_of

from .block_totals import is_auxiliary

Literal: TypeAlias = "tuple[str, int]"
"""An item of a decision: true where the decision takes it."""

Monomial: TypeAlias = "frozenset[Literal]"
"""Items that are all taken."""

ALWAYS: Monomial = frozenset()

MOST = 4096
"""How many alternatives of the existence of one node are distinguished."""

MOST_COMPARED = 1024
"""How many of them are compared with each other, which takes the square of their number."""


class ExistenceTooComplex(Exception):
    """A node exists in too many different ways to be written down."""


class Conditions:
    """The conditions of the nodes of graphs, as disjunctions of monomials or under given decisions.

    Args:
        decisions: of the space.
    """

    def __init__(self, decisions: Mapping[str, Decision]) -> None:
        self.decisions = decisions
        many = (DecisionKind.PICK, DecisionKind.ANY)
        self.single = frozenset(path for path, d in decisions.items() if d.kind not in many or d.take == 1)

    # ------------------------------------------------------------ as monomials

    def of(self, graph: SpaceGraph, text: BodyElaboration | None, prune: bool) -> dict[int, list[tuple[Monomial, int]]]:
        """Per node, signed monomials whose sum is 1 where it exists and 0 elsewhere.

        With ``prune`` only what the output needs does; that picks may take nothing is ignored.

        Raises:
            ExistenceTooComplex: where that would be too long.
        """
        found: dict[int, set[Monomial]] = {index: set() for index, _ in graph.order()}
        read = {source for index, _ in graph.order() for source in graph.sources(index)}
        for index, node in reversed(list(graph.order())):
            if is_auxiliary(node):
                continue
            if self.ends(graph, index, read, prune):
                found[index] |= self.stays(node.line, text)
            here = self.simplest(found[index])
            found[index] = here
            for slot, source in enumerate(graph.sources(index)):
                for literals in self.crossing(graph, index, slot):
                    found[source] |= {joined for m in here if (joined := self.joined(m, literals)) is not None}
        return {index: self.signed(conditions) for index, conditions in found.items()}

    @staticmethod
    def ends(graph: SpaceGraph, index: int, read: Collection[int], prune: bool) -> bool:
        """Whether a node stays although nothing may need it: the output, lines, and what no node reads."""
        return index == graph.output or (not prune and (graph.node(index).line is not None or index not in read))

    def stays(self, line: str | None, text: BodyElaboration | None) -> set[Monomial]:
        """When a line exists: elements of a family whose size is a choice do where it does not end before."""
        element = element_of(line or "")
        if element is None or text is None or element[0] not in text.families:
            return {ALWAYS}
        size = text.families[element[0]].size
        if size is None or size.path not in self.decisions:
            return {ALWAYS}
        kept = [i for i, number in enumerate(size.numbers) if number > element[1][0]]
        return {ALWAYS} if len(kept) == len(size.numbers) else {frozenset([(size.path, i)]) for i in kept}

    def crossing(self, graph: SpaceGraph, reader: int, slot: int) -> Iterator[Monomial]:
        """What must be taken for a node to need the source in one of its slots."""
        source = graph.node(graph.sources(reader)[slot]).payload
        taken = {(source.decision, source.index)} if isinstance(source, Weigh) else frozenset()
        match graph.node(reader).payload:
            case Mix(decisions=decisions, rows=rows):
                for assignment in rows[slot]:
                    yield frozenset(zip(decisions, assignment, strict=True)) | taken
            case _:
                yield frozenset(taken)

    def joined(self, left: Monomial, right: Iterable[Literal]) -> Monomial | None:
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
            raise ExistenceTooComplex
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
                raise ExistenceTooComplex
        return [(monomial, sign) for monomial, sign in total.items() if sign]

    # ------------------------------------------------------------ under decisions

    def existing(
        self, graph: SpaceGraph, text: BodyElaboration | None, chosen: Selection, gone: Collection[int], prune: bool
    ) -> set[int]:
        """The nodes that exist under decisions; ``gone`` are those of a text with ``prune`` of which nothing came."""
        read = {source for index, _ in graph.order() for source in graph.sources(index)}
        found: set[int] = set()
        for index, node in reversed(list(graph.order())):
            end = self.ends(graph, index, read, prune) and not is_auxiliary(node)
            if end and any(holds(m, chosen) for m in self.stays(node.line, text)):
                found.add(index)
            if index not in found or index in gone:
                found.discard(index)
                continue
            for slot, source in enumerate(graph.sources(index)):
                if any(holds(m, chosen) for m in self.crossing(graph, index, slot)):
                    found.add(source)
        return found


def holds(monomial: Monomial, chosen: Selection) -> bool:
    """Whether decisions take all items of a monomial."""
    return all(item in chosen[decision] for decision, item in monomial)
