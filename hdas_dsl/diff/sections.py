"""Differences of sections: targets, settings, phases and their order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hdas_dsl.tree.ast import Call, Equivalence, Expr, Method, Name, Phase, Search, Setting, SettingLine, Train

from .bodies import rules
from .canonical import same
from .expressions import compare, operations
from .model import Change, Kind
from .pairing import by_name, in_order
from .show import change


def sections(left: Search | Train | Phase | None, right: Search | Train | Phase | None, path: str) -> Iterator[Change]:
    """Two sections or phases of one name, or one that the other file lacks."""
    if left is None or right is None:
        yield change(path, Kind.SETTING, left, right)
        return
    if left.target is not None and right.target is not None:
        yield from _values(left.target, right.target, path)
    elif left.target is not right.target:
        yield change(path, Kind.SETTING, left.target, right.target)
    if isinstance(left, Search) and isinstance(right, Search) and _method(left) != _method(right):
        yield Change(path, Kind.SETTING, _method(left), _method(right), "method")
    yield from _lines(left.settings, right.settings, path)


def _method(section: Search) -> str | None:
    return None if section.method is None else section.method.name


def named(left: Equivalence | Method | None, right: Equivalence | Method | None, path: str) -> Iterator[Change]:
    """Two equivalences or methods of one name, or one that the other file lacks."""
    if left is None or right is None:
        yield change(path, Kind.SETTING, left, right)
    else:
        yield from _lines(left.settings, right.settings, path)


def _lines(left: tuple[SettingLine, ...], right: tuple[SettingLine, ...], path: str) -> Iterator[Change]:
    mine, their = ([line for line in lines if isinstance(line, Setting | Phase)] for lines in (left, right))
    for name, one, other in by_name(mine, their, lambda line: line.name):
        place = f"{path}.{name}"
        match one, other:
            case Setting(), Setting():
                yield from _values(one.value, other.value, place)
            case Phase() | None, Phase() | None:
                yield from sections(one, other, place)
            case _:
                first, second = (line.value if isinstance(line, Setting) else line for line in (one, other))
                yield change(place, Kind.SETTING, first, second)
    ours, theirs = ([line.name for line in lines if isinstance(line, Phase)] for lines in (left, right))
    if not in_order(ours, theirs):
        yield Change(path, Kind.ORDER, ", ".join(ours), ", ".join(theirs), "of phases")
    yield from rules(left, right, path)


def _values(left: Expr, right: Expr, path: str) -> Iterator[Change]:
    """Values of settings and targets of sections: calls are compared by argument, every change is a setting."""
    if same(left, right):
        return
    if isinstance(left, Call | Name) and isinstance(right, Call | Name):
        changes = operations(left, right, path)
    else:
        changes = compare(left, right, path)
    yield from (replace(found, kind=Kind.SETTING) for found in changes)
