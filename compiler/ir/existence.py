"""When a node of a graph exists: the one statement of the rule, whatever an analysis knows of the node's sources.

Decisions leave nodes without inputs. An operation with a missing input is missing. A sum or a concatenation (an
operator that gathers) skips missing inputs, and is missing where all of them are. A candidate of a pick exists where it
is taken, and a missing one cannot be taken. A mixture exists where its selected item does. A node reads an existing
source only where the decisions take that source (`needs`).

Decisions that are made (`Selected`), ways to make them (`compiler.analysis.counting`), costs as functions of them
(`compiler.analysis.costs`) and terms (`compiler.analysis.architectures.equivalence`) differ in what they know of a
source; each is a `Rule`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias, TypeVar

from .decision import Selection
from .payloads import Mix, Prim, Weigh
from .primitives.base import Gather

Source = TypeVar("Source", contravariant=True)
Found = TypeVar("Found", covariant=True)

ItemTaken: TypeAlias = "tuple[str, int]"
"""An item of a decision: true where the decision takes it."""

Monomial: TypeAlias = "frozenset[ItemTaken]"
"""Items that are all taken."""

Alternatives: TypeAlias = "tuple[Monomial, ...] | None"
"""Items of which all of one monomial are taken; None where nothing needs to be."""

ALWAYS: Monomial = frozenset()


class Rule(Protocol[Source, Found]):
    """The result for a node from those of its sources, by the four ways in which a node depends on them."""

    def candidate(self, payload: Weigh, source: Source) -> Found:
        """For a candidate of a pick: it exists if it is taken, and can be taken if its source exists."""
        ...

    def mixture(self, payload: Mix, sources: Sequence[Source]) -> Found:
        """For a mixture: it exists if the item that is selected does."""
        ...

    def gathered(self, sources: Sequence[Source]) -> Found:
        """For a sum or concatenation: it exists if any of its sources does."""
        ...

    def applied(self, sources: Sequence[Source]) -> Found:
        """For anything else: it exists if all of its sources do."""
        ...


def apply_rule(payload: object, sources: Sequence[Source], rule: Rule[Source, Found]) -> Found:
    """The result of a rule for a node."""
    match payload:
        case Weigh():
            return rule.candidate(payload, sources[0])
        case Mix():
            return rule.mixture(payload, sources)
    return rule.gathered(sources) if gathers(payload) else rule.applied(sources)


def gather_of(payload: object) -> Gather | None:
    """How a node combines any number of inputs; None where its number of inputs is fixed."""
    return payload.op.gather if isinstance(payload, Prim) else None


def gathers(payload: object) -> bool:
    """Whether a node skips those of its sources that do not exist."""
    return gather_of(payload) is not None


def needs(reader: object, slot: int, source: object) -> Iterator[Monomial]:
    """The items under which a node that exists reads the source in one of its slots, as alternatives."""
    taken: Monomial = frozenset([(source.decision, source.index)] if isinstance(source, Weigh) else ())
    if isinstance(reader, Mix):
        for assignment in reader.rows[slot]:
            yield frozenset(zip(reader.decisions, assignment, strict=True)) | taken
    else:
        yield taken


def alternatives(reader: object, slot: int, source: object) -> Alternatives:
    """The items under which a node that exists reads the source in one of its slots; None where it always does."""
    return tuple(needs(reader, slot, source)) if isinstance(reader, Mix) or isinstance(source, Weigh) else None


def holds(monomial: Monomial, chosen: Selection) -> bool:
    """Whether decisions take all items of a monomial."""
    return all(item in chosen[decision] for decision, item in monomial)


class Existence:
    """The part of the rule that no decision changes, over whether the sources exist."""

    def gathered(self, sources: Sequence[bool]) -> bool:
        """Whether any source exists."""
        return any(sources)

    def applied(self, sources: Sequence[bool]) -> bool:
        """Whether all sources exist."""
        return all(sources)


@dataclass(frozen=True)
class Selected(Existence):
    """The rule where all decisions are made: whether a node exists, from whether its sources do."""

    chosen: Selection

    @cached_property
    def taken(self) -> Monomial:
        """All items that decisions take."""
        return frozenset((decision, item) for decision, items in self.chosen.items() for item in items)

    def candidate(self, payload: Weigh, source: bool) -> bool:
        """Whether the pick takes the candidate and its source exists."""
        return source and payload.index in self.chosen[payload.decision]

    def mixture(self, payload: Mix, sources: Sequence[bool]) -> bool:
        """Whether the selected item exists."""
        taken = tuple(self.chosen[path][0] for path in payload.decisions)
        return any(exists for exists, row in zip(sources, payload.rows, strict=True) if taken in row)

    def reads(self, reader: object, slot: int, source: object) -> bool:
        """Whether a node that exists reads the source in one of its slots."""
        return self.takes(alternatives(reader, slot, source))

    def takes(self, under: Alternatives) -> bool:
        """Whether decisions take all items of one of the alternatives."""
        return under is None or any(items <= self.taken for items in under)
