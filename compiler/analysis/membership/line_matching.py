"""Lines of a body of the space against lines of the same names: the decisions under which all are equal at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from compiler.elaborate.values import (
    Bound,
    Picked,
    Tensor,
    Unknown,
    Value,
    flatten,
)
from compiler.ir.decision import Selection

from .found import Effort, NotInSpaceError, merge
from .graph_matching import GraphMatcher, expression


@dataclass(frozen=True)
class LinePair:
    """A line of the space and one of the architecture, by their nodes.

    A line's ``own`` node is compared by its expression; where the line is another name for one, as a mention of it.
    """

    copy: str
    name: str
    mine: int
    theirs: int
    own: bool

    @property
    def path(self) -> str:
        """The name of the line behind the path of its copy."""
        return f"{self.copy}.{self.name}"


def match_lines(
    matcher: GraphMatcher, lines: Sequence[LinePair], found: Selection, numbers: Sequence[Sequence[Selection]] = ()
) -> Iterator[Selection]:
    """All decisions that make all lines of the space those of the architecture, in agreement with each other.

    Args:
        matcher: compares the graphs that the lines are of.
        lines: the lines that are tensors.
        found: the decisions that are known before.
        numbers: the ways to settle each undecided number: one that a name is bound to, or the size of a family.

    Raises:
        NotInSpaceError: there are none.
    """
    misses = matcher.misses
    for line in lines:
        misses.clear()
        if next(_ways(matcher, line), None) is None:
            there, here = expression(matcher.theirs, line.theirs), expression(matcher.mine, line.mine)
            raise misses.best or NotInSpaceError(line.path, f"'{there}' is not '{here}'")
    # What is certain comes first, so that the search for the rest goes back over little.
    certain = [partial(iter, ways) for ways in numbers if len(ways) == 1]
    open_ways = [partial(iter, ways) for ways in numbers if len(ways) > 1]
    parts = [*certain, *(partial(_ways, matcher, line) for line in lines), *open_ways]
    agreed = False
    for agreement in _agreements(parts, found, matcher.effort):
        agreed = True
        yield agreement
    if not agreed:
        raise NotInSpaceError(lines[-1].path, "its lines need different items of one choice")


def _agreements(
    parts: Sequence[Callable[[], Iterator[Selection]]], found: Selection, effort: Effort
) -> Iterator[Selection]:
    """All ways in which the parts match under one set of decisions, each part being given by its ways."""
    agreed, pending = [found], [part() for part in parts[:1]]
    if not parts:
        yield found
    while pending:
        way = next(pending[-1], None)
        if way is None:
            pending.pop()
            agreed.pop()
            continue
        effort.step()
        merged = merge(agreed[-1], way)
        if merged is None:
            continue
        if len(pending) == len(parts):
            yield merged
        else:
            agreed.append(merged)
            pending.append(parts[len(pending)]())


def _ways(matcher: GraphMatcher, line: LinePair) -> Iterator[Selection]:
    """All ways in which a line matches."""
    compare = matcher.expand if line.own else matcher.unify
    is_mention = matcher.theirs.node(line.theirs).line not in (None, line.name)
    yield from compare(line.mine, line.theirs, not is_mention)


def match_bundle(matcher: GraphMatcher, picked: Picked, given: Bound | None, path: str) -> Selection:
    """The decision of a pick that is a line of its own; its candidates then mean the tensors of that line."""
    candidates = [item.index for item in picked.items]
    terms = [item.index for item in _items(given) if isinstance(item, Tensor)]
    matcher.misses.clear()
    for found in matcher.assign(candidates, terms, True, True, {}, ()):
        taken = found[picked.decision]
        for index, term in zip(taken, terms, strict=True):
            matcher.correspondence[candidates[index]] = term
        return found
    raise matcher.misses.best or NotInSpaceError(path, f"it is not made of {len(candidates)} candidates")


def _items(value: Bound | None) -> list[Value]:
    """The elements of what a name is bound to."""
    return [] if value is None or isinstance(value, Unknown) else flatten(value)
