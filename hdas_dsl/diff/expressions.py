"""The smallest differences inside two expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TypeVar

from hdas_dsl.tree.ast import (
    Arg,
    Binary,
    Call,
    Choice,
    Each,
    Expr,
    If,
    Name,
    Node,
    Pick,
    Pipe,
    Take,
    Tuple,
    Unary,
)

from .canonical import key, same, terms_of
from .edges import Edge, applies, edge_of, head, heads, slot
from .model import Change, Kind
from .pairing import aligned, at, by_name, by_rank
from .show import change, show

N = TypeVar("N", bound=Node)

_STEPS = {(If, "cond"): ".if", (If, "then"): ".then", (If, "orelse"): ".else", (Pick, "count"): ".pick"}


def compare(left: Expr, right: Expr, path: str, kind: Kind = Kind.VALUE) -> list[Change]:
    """The smallest differences of two expressions; where there is none smaller, the whole as one of this kind."""
    if same(left, right):
        return []
    return _finer(left, right, path) or [change(path, kind, left, right)]


def _finer(left: Expr, right: Expr, path: str) -> list[Change]:
    """Differences inside two different expressions, none if they are best shown whole."""
    ours, theirs = terms_of(left), terms_of(right)
    if len(ours) > 1 or len(theirs) > 1:
        return _sums(ours, theirs, path) if any(map(applies, ours + theirs)) else []
    if (applies(left) or applies(right)) and (one := edge_of(left)) and (other := edge_of(right)):
        return _edges(one, other, path)
    match left, right:
        case Call(), Call():
            return operations(left, right, path)
        case Choice(), Choice():
            return _sequences(left.items, right.items, path, Kind.ALTERNATIVE)
        case Tuple(), Tuple() if _structured(left) or _structured(right):
            return _sequences(left.items, right.items, path, Kind.VALUE)
    return _children(left, right, path)


def _structured(node: Node) -> bool:
    return any(isinstance(part, Call | Pipe | Choice | Pick) for part in node.walk())


def _children(left: Expr, right: Expr, path: str) -> list[Change]:
    """Differences below two expressions of one form."""
    if type(left) is not type(right) or not isinstance(left, Each | Take | Unary | Binary | If | Pick):
        return []
    if not (_structured(left) or _structured(right)):
        return []
    changes: list[Change] = []
    for item in fields(left):
        one, other = getattr(left, item.name), getattr(right, item.name)
        if item.name == "span" or same(one, other):
            continue
        if not isinstance(one, Expr) or not isinstance(other, Expr):
            return []
        changes += compare(one, other, path + _STEPS.get((type(left), item.name), ""))
    return changes


def _sequences(left: Sequence[N], right: Sequence[N], path: str, kind: Kind, note: str = "") -> list[Change]:
    """Items whose order counts."""
    if sorted(map(key, left)) == sorted(map(key, right)):
        return [Change(path, Kind.ORDER, ", ".join(map(show, left)), ", ".join(map(show, right)), note)]

    def both(i: int | None, j: int | None) -> list[Change]:
        return [change(path, kind, at(left, i), at(right, j), note)]

    return aligned(left, right, both)


# ---------------------------------------------------------------- sums and edges


def _sums(left: tuple[Expr, ...], right: tuple[Expr, ...], path: str) -> list[Change]:
    """Terms are paired by their common source first, then by their common operation."""

    def rank(one: Expr, other: Expr) -> int:
        mine, their = edge_of(one), edge_of(other)
        if mine is None or their is None:
            return 4 if mine is their else 5
        alike = heads(mine) == heads(their)
        if same(mine.source, their.source):
            return 0 if alike else 1
        return 2 if same(mine.operations, their.operations) else 3 if alike else 4

    changes: list[Change] = []
    for one, other in by_rank(left, right, rank):
        mine, their = one and edge_of(one), other and edge_of(other)
        if one is None or other is None:
            edge = mine or their
            place = path + (slot(edge.source) if edge else "")
            changes.append(change(place, Kind.EDGE, one, other))
        elif mine and their:
            place = path + (slot(mine.source) if same(mine.source, their.source) else "")
            changes += _edges(mine, their, place) or [change(place, Kind.EDGE, one, other)]
        else:
            changes += compare(one, other, path, Kind.EDGE)
    return changes


def _edges(left: Edge, right: Edge, path: str) -> list[Change]:
    """An edge by its source and its operations; none if both changed, or only its form."""
    if not same(left.source, right.source):
        if len(left.operations) == len(right.operations) == 1 and heads(left) != heads(right):
            return [Change(path, Kind.EDGE, _show_edge(left), _show_edge(right))]
        moved = _finer(left.source, right.source, path)
        if not moved:
            name = f"of {show(head(left.operations[0]))}" if left.operations and right.operations else ""
            moved = [change(path, Kind.INPUT, left.source, right.source, name)]
        return moved + _stages(left, right, path)
    return _stages(left, right, path)


def _show_edge(edge: Edge) -> str:
    operation = edge.operations[0]
    if edge.first == 1:
        return show(Pipe((edge.source, operation)))
    rest = operation.args if isinstance(operation, Call) else ()
    return show(Call(head(operation), (Arg(None, edge.source), *rest)))


def _stages(left: Edge, right: Edge, path: str) -> list[Change]:
    ours, theirs = left.operations, right.operations
    long = len(ours) > 1 or len(theirs) > 1

    def both(i: int | None, j: int | None) -> list[Change]:
        if i is None or j is None:
            return [change(path, Kind.OPERATION, at(ours, i), at(theirs, j))]
        place = f"{path}.{_ordinal(ours, i)}" if long and isinstance(head(ours[i]), Name) else path
        first = (left.first if i == 0 else 1, right.first if j == 0 else 1)
        return operations(ours[i], theirs[j], path, place, max(first))

    return aligned(ours, theirs, both)


def _ordinal(stages: Sequence[Expr], position: int) -> str:
    """The name of a stage of a pipe, numbered if it stands there more than once before."""
    names = [show(head(stage)) for stage in stages[: position + 1]]
    before = names[:-1].count(names[-1])
    return f"{names[-1]}_{before + 1}" if before else names[-1]


# ---------------------------------------------------------------- operations


def operations(left: Expr, right: Expr, path: str, inside: str | None = None, first: int = 1) -> list[Change]:
    """Two operations, applied or not.

    Args:
        left: The one operation.
        right: The other.
        path: Their path.
        inside: The path of their arguments, if it is another.
        first: The number of their first argument.
    """
    if same(left, right):
        return []
    ours = left.args if isinstance(left, Call) else ()
    theirs = right.args if isinstance(right, Call) else ()
    one, other = head(left), head(right)
    if not same(one, other):
        if not _same_arguments(ours, theirs):
            one, other = left, right
        elif finer := _partial(one, other, path):
            return finer
        return [change(path, Kind.OPERATION, one, other)]
    if one == Name("concat") and all(arg.name is None for arg in ours + theirs):
        values = [arg.value for arg in ours], [arg.value for arg in theirs]
        return _sequences(*values, path, Kind.INPUT, "of concat")
    changes = _arguments(ours, theirs, path if inside is None else inside, first)
    return changes or [change(path, Kind.OPERATION, left, right)]


def _partial(left: Expr, right: Expr, path: str) -> list[Change]:
    """Operations made of operations: ``(f -> g)``, ``(f | g)``, ``if c then f else g``."""
    match left, right:
        case Pipe(), Pipe():
            return _stages(Edge(left, left.stages), Edge(right, right.stages), path)
        case (Choice(), Choice()) | (If(), If()):
            return _finer(left, right, path)
    return []


def _same_arguments(left: tuple[Arg, ...], right: tuple[Arg, ...]) -> bool:
    return same(Call(Name(""), left), Call(Name(""), right))


def _arguments(left: tuple[Arg, ...], right: tuple[Arg, ...], path: str, first: int) -> list[Change]:
    changes: list[Change] = []
    ours, theirs = _numbered(left, first), _numbered(right, first)
    for name, one, other in by_name(ours, theirs, lambda pair: pair[0]):
        if one is None or other is None:
            sides = one and one[1].value, other and other[1].value
            changes.append(change(f"{path}.{name}", Kind.ARGUMENT, *sides))
        else:
            changes += compare(one[1].value, other[1].value, f"{path}.{name}", Kind.ARGUMENT)
    return changes


def _numbered(args: tuple[Arg, ...], first: int) -> list[tuple[str, Arg]]:
    positions = iter(range(first, first + len(args)))
    return [(arg.name if arg.name is not None else f"arg{next(positions)}", arg) for arg in args]
