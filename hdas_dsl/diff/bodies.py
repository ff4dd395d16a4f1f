"""Differences of bodies: lines by name, families by size, requirements and preferences by quantity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from hdas_dsl.tree.ast import Aux, Binary, Binding, BodyLine, Copy, Name, Node, Output, Preference, Prune, Require
from hdas_dsl.tree.words import element_of

from .canonical import key, same
from .edges import edge_of, head, line_name, target_name
from .expressions import compare
from .model import Change, Kind
from .pairing import by_name, by_rank
from .show import change, show

_Rule = Require | Preference | Prune


def lines(left: Sequence[BodyLine], right: Sequence[BodyLine], path: str) -> Iterator[Change]:
    """The lines of a body, by name; elements of a family that one side lacks are one change."""
    ours = [line for line in left if isinstance(line, Binding)]
    theirs = [line for line in right if isinstance(line, Binding)]
    here, there = _families(ours), _families(theirs)
    sizes = {name: _size(name, here.get(name, {}), there.get(name, {}), path) for name in (here | there)}
    reported: set[str] = set()
    for name, one, other in by_name(ours, theirs, line_name):
        if one is not None and other is not None:
            yield from _bindings(one, other, f"{path}.{target_name(one)}")
        elif (element := element_of(name)) is None or (size := sizes.get(element[0])) is None:
            present = one or other
            place = f"{path}.{target_name(present)}" if present else path
            yield change(place, Kind.LINE, one, other)
        elif size.path not in reported:
            reported.add(size.path)
            yield size
    for kind, word in ((Output, "output"), (Aux, "aux")):
        results = [line for line in left if isinstance(line, kind)], [line for line in right if isinstance(line, kind)]
        for _, one_result, other_result in by_name(*results, lambda _: ""):
            if one_result is not None and other_result is not None:
                yield from compare(one_result.value, other_result.value, f"{path}.{word}")
            else:
                yield change(f"{path}.{word}", Kind.LINE, one_result, other_result)
    yield from rules(left, right, path)


def _bindings(left: Binding, right: Binding, path: str) -> Iterator[Change]:
    if [dim.index for dim in left.target.dims] != [dim.index for dim in right.target.dims]:
        ours, theirs = (f"[{', '.join(map(show, line.target.dims))}]" for line in (left, right))
        yield Change(path, Kind.SIZE, ours, theirs)
    else:
        for one, other in zip(left.target.dims, right.target.dims, strict=True):
            if not same(one, other):
                yield change(path, Kind.SIZE, one.size, other.size)
    yield from compare(left.value, right.value, path)
    yield from lines(left.where, right.where, path)


# ---------------------------------------------------------------- families


def _size(family: str, ours: Mapping[str, Binding], theirs: Mapping[str, Binding], path: str) -> Change | None:
    """The change of size that explains elements on one side only: the other elements are on both."""
    extra, missing = [e for e in ours if e not in theirs], [e for e in theirs if e not in ours]
    if not ours or not theirs or (extra and missing):
        return None
    side = "left" if extra else "right"
    before, after = (f"{len(elements)} {_noun(elements.values())}" for elements in (ours, theirs))
    note = f"{', '.join(extra or missing)} only in the {side} file"
    return Change(f"{path}.{family}", Kind.FAMILY, before, after, note)


def _families(lines: Sequence[Binding]) -> dict[str, dict[str, Binding]]:
    """The lines that are elements of families, by the family and by name."""
    found: dict[str, dict[str, Binding]] = {}
    for line in lines:
        if not line.target.dims and (element := element_of(line.target.name)):
            found.setdefault(element[0], {})[line.target.name] = line
    return found


def _noun(lines: Iterable[Binding]) -> str:
    """The noun for elements, if one fits all: those of ``s0 = Cell(...)`` are cells."""
    elements = list(lines)
    heads = set()
    for line in elements:
        edge = edge_of(line.value)
        last = head(edge.operations[-1]) if edge and edge.operations else None
        last = last.base if isinstance(last, Copy) else last
        heads.add(last.id if isinstance(last, Name) and last.id[:1].isupper() else "element")
    noun = heads.pop().lower() if len(heads) == 1 else "element"
    return noun if len(elements) == 1 else f"{noun}s"


# ---------------------------------------------------------------- requirements and preferences


def rules(left: Sequence[Node], right: Sequence[Node], path: str) -> Iterator[Change]:
    """Requirements and preferences are a multiset; two about the same quantity are paired."""

    def about(rule: _Rule) -> str:
        match rule:
            case Require(condition=Binary(op=op, left=quantity)):
                return f"require {op} {key(quantity)}"
            case Preference():
                return f"prefer {key(rule.quantity)}"
        return key(rule)

    def rank(one: _Rule, other: _Rule) -> int | None:
        return 0 if about(one) == about(other) else None

    ours = [line for line in left if isinstance(line, _Rule)]
    theirs = [line for line in right if isinstance(line, _Rule)]
    for one, other in by_rank(ours, theirs, rank):
        rule = one or other
        word = rule.sense.value if isinstance(rule, Preference) else type(rule).__name__.lower()
        yield change(f"{path}.{word}", Kind.RULE, one, other)
