"""Differences of definitions, their signatures, and uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath

from hdas_dsl.tree.ast import Block, Definition, External, GraphDef, MenuDef, OpDef, Param, Use

from .bodies import lines
from .canonical import key, same
from .expressions import compare
from .model import Change, Kind
from .pairing import by_name, by_rank, in_order
from .show import change, show_shape


def definitions(left: Definition | None, right: Definition | None, path: str) -> Iterator[Change]:
    """Two definitions of one title, or one that the other file lacks."""
    if _word(left) != _word(right):
        yield Change(path, Kind.DEFINITION, _word(left), _word(right))
    if left is None or right is None:
        return
    ours, theirs = (() if isinstance(d, MenuDef) else d.inputs for d in (left, right))
    yield from _params(ours, theirs, path)
    yield from _params(left.params, right.params, path)
    match left, right:
        case GraphDef(), GraphDef():
            yield from lines(left.body.lines, right.body.lines, path)
        case MenuDef(), MenuDef():
            yield from compare(left.value, right.value, path)
        case OpDef(), OpDef():
            if not same(left.shape, right.shape):
                yield Change(path, Kind.SHAPE, show_shape(left.shape), show_shape(right.shape))
            yield from _bodies(left, right, path)


def _word(definition: Definition | None) -> str | None:
    """The word that a definition starts with."""
    match definition:
        case GraphDef():
            return definition.level.value
        case MenuDef():
            return "choice"
        case OpDef():
            return "op"
    return None


def _bodies(left: OpDef, right: OpDef, path: str) -> Iterator[Change]:
    match left.body, right.body:
        case Block() as one, Block() as other:
            yield from lines(one.lines, other.lines, path)
        case (Block() | External(), _) | (_, Block() | External()):
            if not same(left.body, right.body):
                yield change(path, Kind.VALUE, left.body, right.body)
        case one, other:
            yield from compare(one, other, path)


def _params(left: tuple[Param, ...], right: tuple[Param, ...], path: str) -> Iterator[Change]:
    """Inputs or parameters by name; their order counts, since arguments are given by position."""
    for name, one, other in by_name(left, right, lambda param: param.name):
        place = f"{path}.{name}"
        if one is None or other is None:
            yield change(place, Kind.PARAMETER, one, other)
            continue
        if not same(one.shape, other.shape):
            yield Change(place, Kind.SHAPE, show_shape(one.shape), show_shape(other.shape))
        if one.default is not None and other.default is not None:
            yield from compare(one.default, other.default, place, Kind.DEFAULT)
        elif one.default is not other.default:
            yield change(place, Kind.DEFAULT, one.default, other.default)
    ours, theirs = [param.name for param in left], [param.name for param in right]
    if not in_order(ours, theirs):
        yield Change(path, Kind.SIGNATURE, f"({', '.join(ours)})", f"({', '.join(theirs)})")


def uses(left: tuple[Use, ...], right: tuple[Use, ...]) -> Iterator[Change]:
    """Uses are a multiset; two of one path, or of one file name, are paired."""

    def rank(one: Use, other: Use) -> int | None:
        if one.path == other.path:
            return 0
        return 1 if PurePosixPath(one.path).name == PurePosixPath(other.path).name else None

    for one, other in by_rank([_sorted(use) for use in left], [_sorted(use) for use in right], rank):
        yield replace(change("use", Kind.USE, one, other), copy="use")


def _sorted(use: Use) -> Use:
    """A use with its replacements sorted, since their order carries no meaning."""
    return replace(use, replace=tuple(sorted(use.replace, key=key)))
