"""What differs between two files, by choice path: the structural difference of two syntax trees.

Two trees are the same when they agree in all but layout, comments, `provenance`, the order of definitions and lines,
the order of a sum's terms and of named arguments, and the spelling of a name (`n2`, `n[2]`) or number (`4K`, `4000`).
`_key` is that notion of sameness, one canonical text per expression; everything else here only finds the smallest
place in which two keys differ. Whatever finds no smaller place reports the whole, so no difference goes unreported.
Every choice of a pairing is blind to which side is which: `diff(a, b)` and `diff(b, a)` have equally many changes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import Enum
from itertools import groupby, zip_longest
from pathlib import PurePosixPath
from typing import TypeVar, cast

from hdas_dsl.tree.ast import (
    Arg,
    Aux,
    Binary,
    Binding,
    Block,
    BodyLine,
    Call,
    Choice,
    Copy,
    Definition,
    Dim,
    Dots,
    Each,
    Equivalence,
    Expr,
    External,
    Field,
    GraphDef,
    Ident,
    If,
    Index,
    Item,
    MenuDef,
    Module,
    Name,
    Node,
    Number,
    OpDef,
    Output,
    Param,
    Phase,
    Pick,
    Pipe,
    Preference,
    Prune,
    Require,
    Search,
    Setting,
    SettingLine,
    Take,
    Train,
    Tuple,
    Unary,
    Use,
)
from hdas_dsl.tree.printer import print_expression

T = TypeVar("T")
N = TypeVar("N", bound=Node)


class Kind(Enum):
    """What sort of thing differs."""

    OPERATION = "operation"
    INPUT = "input"
    EDGE = "edge"
    DEFINITION = "definition"
    SIGNATURE = "signature"
    PARAMETER = "parameter"
    DEFAULT = "default"
    SHAPE = "shape"
    LINE = "line"
    FAMILY = "family"
    SIZE = "size"
    ARGUMENT = "argument"
    ALTERNATIVE = "alternative"
    VALUE = "value"
    RULE = "rule"
    SETTING = "setting"
    ORDER = "order"
    USE = "import"
    VERSION = "version"

    def count(self, number: int) -> str:
        plural = self.value[:-1] + "ies" if self.value.endswith("y") else self.value + "s"
        return f"{number} {self.value if number == 1 else plural}"


@dataclass(frozen=True)
class Change:
    """One difference; a side that has nothing at this path is None. ``copy`` is the head of ``path``."""

    path: str
    kind: Kind
    left: str | None
    right: str | None
    note: str = ""
    copy: str = ""


@dataclass(frozen=True)
class Diff:
    """The changes in the order of the left file, then what only the right one has; and how many edges agree."""

    changes: tuple[Change, ...]
    agreeing: int = 0
    edges: int = 0

    @property
    def same(self) -> bool:
        return not self.changes

    @property
    def similarity(self) -> float:
        """The share of edges that agree, 1 where there are none."""
        return self.agreeing / self.edges if self.edges else 1.0

    def summary(self) -> str:
        counts = Counter(change.kind for change in self.changes)
        parts = [kind.count(counts[kind]) for kind in Kind if counts[kind]]
        verb = "differs" if len(self.changes) == 1 else "differ"
        differing = f"{', '.join(parts)} {verb}" if parts else "no difference"
        return f"{differing}; {self.agreeing} of {self.edges} edges agree" if self.edges else differing

    def render(self, colour: bool = False) -> str:
        """For people: grouped by copy, with a summary in the last line; ``colour`` adds a terminal's codes."""
        lines = list(self._lines())
        if not colour:
            return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)
        from io import StringIO

        from rich.console import Console
        from rich.text import Text

        stream = StringIO()
        console = Console(file=stream, force_terminal=True, color_system="standard", highlight=False)
        for line in lines:
            console.print(Text.assemble(*line), soft_wrap=True)
        return stream.getvalue()

    def _lines(self) -> Iterator[list[tuple[str, str]]]:
        for copy, group in groupby(self.changes, key=lambda change: change.copy):
            changes = list(group)
            slots = [change.path.removeprefix(copy).removeprefix(".") for change in changes]
            if not any(slots) and len(slots) == 1:
                yield [(copy, "bold"), ("  ", ""), *_words(changes[0])]
            else:
                yield [(copy, "bold")]
                width = max(map(len, slots))
                for slot, change in zip(slots, changes, strict=True):
                    yield [(f"  {slot:{width}}  " if slot else "  ", ""), *_words(change)]
            yield []
        yield [(self.summary(), "bold green" if self.same else "bold")]

    def to_json(self) -> str:
        """One JSON object on one line."""
        changes = [
            {"path": c.path, "kind": c.kind.value, "left": c.left, "right": c.right, "note": c.note}
            for c in self.changes
        ]
        edges = {"agree": self.agreeing, "total": self.edges}
        return json.dumps({"same": self.same, "edges": edges, "changes": changes}, ensure_ascii=False)


def _words(change: Change) -> Iterator[tuple[str, str]]:
    family = change.kind is Kind.FAMILY
    what = f"{change.kind.value} {'' if family else change.note}".rstrip()
    if change.right is None:
        yield from [(f"{what} only in the left file: ", "yellow"), (change.left or "", "red")]
    elif change.left is None:
        yield from [(f"{what} only in the right file: ", "yellow"), (change.right, "green")]
    else:
        yield from [(f"{what}: ", "yellow"), (change.left, "red"), (" → ", ""), (change.right, "green")]
    if family:
        yield f" ({change.note})", ""


def diff(left: Module, right: Module) -> Diff:
    """All that differs between two files."""
    changes: list[Change] = []
    if left.version != right.version:
        changes.append(Change("hsp", Kind.VERSION, str(left.version), str(right.version), copy="hsp"))
    changes += _uses(left.uses, right.uses)
    for name, ours, theirs in _by_name(left.definitions, right.definitions, _title):
        changes += _within(name, _definitions(ours, theirs, name))
    for section in (Search, Train):
        mine = [line for line in left.lines if isinstance(line, section)]
        other = [line for line in right.lines if isinstance(line, section)]
        for name, first, second in _by_name(mine, other, lambda line: type(line).__name__.lower()):
            changes += _within(name, _sections(first, second, name))
    same = [[line for line in module.lines if isinstance(line, Equivalence)] for module in (left, right)]
    for name, one, another in _by_name(same[0], same[1], lambda line: f"equivalence {line.name}"):
        changes += _within(name, _equivalences(one, another, name))
    ours_edges, their_edges = _edges_of(left), _edges_of(right)
    places = Counter({place: len(edges) for place, edges in ours_edges.items()})
    places |= Counter({place: len(edges) for place, edges in their_edges.items()})
    agreeing = sum((Counter(ours_edges.get(p, ())) & Counter(their_edges.get(p, ()))).total() for p in places)
    return Diff(tuple(changes), agreeing, places.total())


def _within(copy: str, changes: Iterable[Change]) -> Iterator[Change]:
    return (replace(change, copy=copy) for change in changes)


# ---------------------------------------------------------------- sameness

_IGNORED = frozenset({"span", "note", "gap"})


def _key(value: object) -> str:
    """A text that two expressions share exactly when they say the same."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_key, value))}]"
    if not isinstance(value, Node):
        return repr(value)
    terms = _terms(cast(Expr, value))
    if len(terms) > 1:
        form = "+" if isinstance(value, Binary) else "sum"
        return f"{form}{{{', '.join(sorted(map(_key, terms)))}}}"
    parts: Iterable[object] = (getattr(value, item.name) for item in fields(value) if item.name not in _IGNORED)
    match value:
        case Number():
            return repr(value.value)
        case Name():
            return value.id
        case Ident():
            return repr(value.name)
        case Index() if (spelled := _spelled(value)) is not None:
            return spelled
        case Call():
            named = sorted((arg for arg in value.args if arg.name is not None), key=lambda arg: arg.name or "")
            parts = (value.func, *(arg for arg in value.args if arg.name is None), *named)
    return f"{type(value).__name__}({', '.join(map(_key, list(parts)))})"


def _spelled(index: Index) -> str | None:
    """``n[2]`` and ``h[3, 1]`` by their other names, ``n2`` and ``h3_1``."""
    if not isinstance(index.base, Name):
        return None
    numbers = [item.value for item in index.indices if isinstance(item, Number)]
    if len(numbers) < len(index.indices) or not all(isinstance(number, int) for number in numbers):
        return None
    return index.base.id + "_".join(map(str, numbers))


def _same(left: object, right: object) -> bool:
    return _key(left) == _key(right)


def _terms(node: Expr) -> tuple[Expr, ...]:
    """The terms of ``a + b + c``, ``sum(a, b, c)`` or ``sum((a, b, c))``; anything else is one term."""
    if isinstance(node, Binary) and node.op == "+":
        terms: list[Expr] = []
        waiting: list[Expr] = [node]
        while waiting:
            part = waiting.pop()
            if isinstance(part, Binary) and part.op == "+":
                waiting += [part.right, part.left]
            else:
                terms.append(part)
        return tuple(terms)
    if isinstance(node, Call) and node.func == Name("sum") and all(arg.name is None for arg in node.args):
        values = tuple(arg.value for arg in node.args)
        if len(values) == 1 and isinstance(values[0], Tuple):
            values = values[0].items
        if len(values) > 1:
            return values
    return (node,)


def _show(node: Node) -> str:
    """A piece of the tree in one line, in the language."""
    match node:
        case Dots():
            return ".."
        case Item():
            return _show(node.value) + (f" if {_show(node.guard)}" if node.guard is not None else "")
        case Dim():
            return f"{node.index} < {_show(node.size)}"
        case Block():
            return "{ ... }"
        case External():
            return f'external "{node.name}"'
        case Output():
            return f"output {_show(node.value)}"
        case Aux():
            return f"aux {_show(node.value)}"
        case Require():
            return f"require {_show(node.condition)}"
        case Preference():
            weight = f" weight {_show(node.weight)}" if node.weight is not None else ""
            return f"{node.sense.value} {_show(node.quantity)}{weight}"
        case Prune():
            return "prune"
        case Binding():
            dims = f"[{', '.join(map(_show, node.target.dims))}]" if node.target.dims else ""
            where = f" where {', '.join(map(_show, node.where))}" if node.where else ""
            return f"{_target(node)}{dims} = {_show(node.value)}{where}"
        case Setting():
            return f"{node.name} = {_show(node.value)}"
        case Phase():
            return f"phase {node.name} = {_show(node.target)}"
        case Search() | Train():
            word = type(node).__name__.lower()
            return word if node.target is None else f"{word} {_show(node.target)}"
        case Equivalence():
            return f"equivalence {node.name}"
        case Param():
            shape = f": {_shape(node.shape)}" if node.shape is not None else ""
            return node.name + shape + (f" = {_show(node.default)}" if node.default is not None else "")
        case Use():
            alias = f" as {node.alias}" if node.alias is not None else ""
            replaced = f" with {', '.join(map(_show, node.replace))}" if node.replace else ""
            return f'"{node.path}"{alias}{replaced}'
        case Arg():
            return _show(node.value) if node.name is None else f"{node.name} = {_show(node.value)}"
    return print_expression(cast(Expr, node))


def _change(path: str, kind: Kind, left: Node | None, right: Node | None, note: str = "") -> Change:
    return Change(path, kind, None if left is None else _show(left), None if right is None else _show(right), note)


def _shape(shape: tuple[Expr, ...] | None) -> str:
    return "nothing" if shape is None else f"[{', '.join(map(_show, shape))}]"


# ---------------------------------------------------------------- pairing

_MAX_CELLS = 1024  # of the table that aligns two sequences; longer ones are compared by position


def _by_name(
    left: Iterable[T], right: Iterable[T], name: Callable[[T], str]
) -> Iterator[tuple[str, T | None, T | None]]:
    """What has the same name on both sides, in the order of the left, then what only the right has."""
    ours, theirs = _named(left, name), _named(right, name)
    for title, count in [*ours, *(key for key in theirs if key not in ours)]:
        yield title, ours.get((title, count)), theirs.get((title, count))


def _named(items: Iterable[T], name: Callable[[T], str]) -> dict[tuple[str, int], T]:
    """By name and, should a name come twice, its occurrence."""
    seen: Counter[str] = Counter()
    found = {}
    for item in items:
        title = name(item)
        found[title, seen[title]] = item
        seen[title] += 1
    return found


def _pairs(
    left: Sequence[N], right: Sequence[N], rank: Callable[[N, N], int | None]
) -> Iterator[tuple[N | None, N | None]]:
    """Those that differ of two multisets, the most alike together: a lower rank first, never without a rank."""
    common = Counter(map(_key, left)) & Counter(map(_key, right))
    ours, theirs = _without(left, common), _without(right, common)
    ranked = [
        (place, sorted((mine, their)), i, j)
        for i, (mine, one) in enumerate(ours)
        for j, (their, other) in enumerate(theirs)
        if (place := rank(one, other)) is not None
    ]
    match: dict[int, int] = {}
    taken: set[int] = set()
    for _, _, i, j in sorted(ranked):
        if i not in match and j not in taken:
            match[i] = j
            taken.add(j)
    for i, (_, one) in enumerate(ours):
        yield one, theirs[match[i]][1] if i in match else None
    yield from ((None, other) for j, (_, other) in enumerate(theirs) if j not in taken)


def _without(items: Sequence[N], common: Counter[str]) -> list[tuple[str, N]]:
    """The items and their keys, less those in common."""
    spare = Counter(common)
    kept = []
    for item in items:
        key = _key(item)
        if not spare[key]:
            kept.append((key, item))
        spare[key] -= spare[key] > 0
    return kept


def _aligned(
    left: Sequence[N], right: Sequence[N], compare: Callable[[int | None, int | None], list[Change]]
) -> list[Change]:
    """The fewest changes that lead from one sequence to another; ``compare`` says what two (or one) of them cost."""
    start, end, other = 0, len(left), len(right)
    while start < min(end, other) and _same(left[start], right[start]):
        start += 1
    while start < min(end, other) and _same(left[end - 1], right[other - 1]):
        end, other = end - 1, other - 1
    ours, theirs = range(start, end), range(start, other)
    if len(ours) * len(theirs) > _MAX_CELLS:
        return [
            c for i, j in zip_longest(ours, theirs) if not _same(_at(left, i), _at(right, j)) for c in compare(i, j)
        ]
    gone, new = {i: compare(i, None) for i in ours}, {j: compare(None, j) for j in theirs}
    # For each beginning of the right the cheapest way so far, ties going to more items in common, and its changes.
    best: list[tuple[int, int, list[Change]]] = [(0, 0, [])]
    for j in theirs:
        best.append(_longer(best[-1], new[j]))
    for i in ours:
        row = [_longer(best[0], gone[i])]
        for k, j in enumerate(theirs):
            both = [] if _same(left[i], right[j]) else compare(i, j)
            ways = _longer(best[k], both), _longer(best[k + 1], gone[i]), _longer(row[k], new[j])
            row.append(min(ways, key=lambda way: way[:2]))
        best = row
    return best[-1][2]


def _longer(way: tuple[int, int, list[Change]], changes: list[Change]) -> tuple[int, int, list[Change]]:
    cost, unlike, before = way
    return cost + len(changes), unlike - (not changes), before + changes


def _at(items: Sequence[N], position: int | None) -> N | None:
    return None if position is None else items[position]


# ---------------------------------------------------------------- expressions

# Functions that compute a number or gather tensors: what they are given is not an edge into an operation.
_NO_OPERATION = frozenset({"concat", "prev", "min", "max", "ceil", "floor", "round_to", "abs"})
_Source = Name | Field | Index | Copy | Each | Take | Pick | Call | Pipe | If | Tuple
_STEPS = {(If, "cond"): ".if", (If, "then"): ".then", (If, "orelse"): ".else", (Pick, "count"): ".pick"}


@dataclass(frozen=True)
class _Edge:
    """A source and the operations it goes through; ``first`` numbers the first argument of the first of them."""

    source: Expr
    operations: tuple[Expr, ...]
    first: int = 1


def _edge(node: Node) -> _Edge | None:
    match node:
        case Pipe():
            return _Edge(node.stages[0], node.stages[1:])
        case Call(func=Name(id=name)) if name in _NO_OPERATION:
            return None
        case Call(args=(Arg(name=None, value=source), *rest)) if isinstance(source, _Source) or _gathers(source):
            return _Edge(source, (Call(node.func, tuple(rest)) if rest else node.func,), 2)
        case Name() | Index() | Field():
            return _Edge(node, ())
    return None


def _applies(node: Node) -> bool:
    edge = _edge(node)
    return edge is not None and bool(edge.operations)


def _gathers(node: Expr) -> bool:
    """A sum of tensors, not of numbers."""
    terms = _terms(node)
    return len(terms) > 1 and any(map(_applies, terms))


def _slot(source: Expr) -> str:
    """The slot of an edge from a named source, ``.from_x``."""
    match source:
        case Name():
            return f".from_{source.id}"
        case Index() if (spelled := _spelled(source)) is not None:
            return f".from_{spelled}"
        case Field() if base := _slot(source.base):
            return f"{base}_{source.name}"
    return ""


def _compare(left: Expr, right: Expr, path: str, kind: Kind = Kind.VALUE) -> list[Change]:
    """The smallest differences of two expressions; where there is none smaller, the whole as one of this kind."""
    if _same(left, right):
        return []
    return _finer(left, right, path) or [_change(path, kind, left, right)]


def _finer(left: Expr, right: Expr, path: str) -> list[Change]:
    """Differences inside two different expressions, none if they are best shown whole."""
    ours, theirs = _terms(left), _terms(right)
    if len(ours) > 1 or len(theirs) > 1:
        return _sums(ours, theirs, path) if any(map(_applies, ours + theirs)) else []
    if (_applies(left) or _applies(right)) and (one := _edge(left)) and (other := _edge(right)):
        return _edges(one, other, path)
    match left, right:
        case Call(), Call():
            return _operations(left, right, path)
        case Choice(), Choice():
            return _sequences(left.items, right.items, path, Kind.ALTERNATIVE)
        case Tuple(), Tuple() if _structured(left) or _structured(right):
            return _sequences(left.items, right.items, path, Kind.VALUE)
    return _children(left, right, path)


def _structured(node: Node) -> bool:
    return any(isinstance(part, Call | Pipe | Choice | Pick) for part in node.walk())


def _children(left: Expr, right: Expr, path: str) -> list[Change]:
    """Two expressions of one form with something to tell apart below them."""
    if type(left) is not type(right) or not isinstance(left, Each | Take | Unary | Binary | If | Pick):
        return []
    if not (_structured(left) or _structured(right)):
        return []
    changes: list[Change] = []
    for item in fields(left):
        one, other = getattr(left, item.name), getattr(right, item.name)
        if item.name == "span" or _same(one, other):
            continue
        if not isinstance(one, Node) or not isinstance(other, Node):
            return []
        step = _STEPS.get((type(left), item.name), "")
        changes += _compare(cast(Expr, one), cast(Expr, other), path + step)
    return changes


def _sums(left: tuple[Expr, ...], right: tuple[Expr, ...], path: str) -> list[Change]:
    """Terms are paired by what they have in common: the source, then the operation."""

    def rank(one: Expr, other: Expr) -> int:
        mine, their = _edge(one), _edge(other)
        if mine is None or their is None:
            return 4 if mine is their else 5
        alike = _heads(mine) == _heads(their)
        if _same(mine.source, their.source):
            return 0 if alike else 1
        return 2 if _same(mine.operations, their.operations) else 3 if alike else 4

    changes: list[Change] = []
    for one, other in _pairs(left, right, rank):
        mine, their = one and _edge(one), other and _edge(other)
        if one is None or other is None:
            edge = mine or their
            place = path + (_slot(edge.source) if edge else "")
            changes.append(_change(place, Kind.EDGE, one, other))
        elif mine and their:
            place = path + (_slot(mine.source) if _same(mine.source, their.source) else "")
            changes += _edges(mine, their, place) or [_change(place, Kind.EDGE, one, other)]
        else:
            changes += _compare(one, other, path, Kind.EDGE)
    return changes


def _heads(edge: _Edge) -> list[str]:
    return [_key(_head(operation)) for operation in edge.operations]


def _head(operation: Expr) -> Expr:
    return operation.func if isinstance(operation, Call) else operation


def _edges(left: _Edge, right: _Edge, path: str) -> list[Change]:
    """An edge by its source and its operations; none if both changed, or only its form."""
    if not _same(left.source, right.source):
        if len(left.operations) == len(right.operations) == 1 and _heads(left) != _heads(right):
            return [Change(path, Kind.EDGE, _show_edge(left), _show_edge(right))]
        moved = _finer(left.source, right.source, path)
        if not moved:
            name = f"of {_show(_head(left.operations[0]))}" if left.operations and right.operations else ""
            moved = [_change(path, Kind.INPUT, left.source, right.source, name)]
        return moved + _stages(left, right, path)
    return _stages(left, right, path)


def _show_edge(edge: _Edge) -> str:
    operation = edge.operations[0]
    if edge.first == 1:
        return _show(Pipe((edge.source, operation)))
    rest = operation.args if isinstance(operation, Call) else ()
    return _show(Call(_head(operation), (Arg(None, edge.source), *rest)))


def _stages(left: _Edge, right: _Edge, path: str) -> list[Change]:
    ours, theirs = left.operations, right.operations
    long = len(ours) > 1 or len(theirs) > 1

    def compare(i: int | None, j: int | None) -> list[Change]:
        if i is None or j is None:
            return [_change(path, Kind.OPERATION, _at(ours, i), _at(theirs, j))]
        place = f"{path}.{_ordinal(ours, i)}" if long and isinstance(_head(ours[i]), Name) else path
        first = (left.first if i == 0 else 1, right.first if j == 0 else 1)
        return _operations(ours[i], theirs[j], path, place, max(first))

    return _aligned(ours, theirs, compare)


def _ordinal(stages: Sequence[Expr], position: int) -> str:
    """The name of a stage of a pipe, numbered if it stands there more than once before."""
    names = [_show(_head(stage)) for stage in stages[: position + 1]]
    before = names[:-1].count(names[-1])
    return f"{names[-1]}_{before + 1}" if before else names[-1]


def _operations(left: Expr, right: Expr, path: str, inside: str | None = None, first: int = 1) -> list[Change]:
    """Two different operations, applied or not; ``inside`` is the path of their arguments."""
    inside = path if inside is None else inside
    if _same(left, right):
        return []
    ours = left.args if isinstance(left, Call) else ()
    theirs = right.args if isinstance(right, Call) else ()
    one, other = _head(left), _head(right)
    if not _same(one, other):
        if not _same_arguments(ours, theirs):
            one, other = left, right
        elif finer := _partial(one, other, path):
            return finer
        return [_change(path, Kind.OPERATION, one, other)]
    if one == Name("concat") and all(arg.name is None for arg in ours + theirs):
        values = [arg.value for arg in ours], [arg.value for arg in theirs]
        return _sequences(*values, path, Kind.INPUT, "of concat")
    changes = _arguments(ours, theirs, inside, first)
    return changes or [_change(path, Kind.OPERATION, left, right)]


def _partial(left: Expr, right: Expr, path: str) -> list[Change]:
    """Operations made of operations: ``(f -> g)``, ``(f | g)``, ``if c then f else g``."""
    match left, right:
        case Pipe(), Pipe():
            return _stages(_Edge(left, left.stages), _Edge(right, right.stages), path)
        case (Choice(), Choice()) | (If(), If()):
            return _finer(left, right, path)
    return []


def _same_arguments(left: tuple[Arg, ...], right: tuple[Arg, ...]) -> bool:
    return _same(Call(Name(""), left), Call(Name(""), right))


def _arguments(left: tuple[Arg, ...], right: tuple[Arg, ...], path: str, first: int) -> list[Change]:
    changes: list[Change] = []
    ours, theirs = _numbered(left, first), _numbered(right, first)
    for name, one, other in _by_name(ours, theirs, lambda pair: pair[0]):
        if one is None or other is None:
            sides = one and one[1].value, other and other[1].value
            changes.append(_change(f"{path}.{name}", Kind.ARGUMENT, *sides))
        else:
            changes += _compare(one[1].value, other[1].value, f"{path}.{name}", Kind.ARGUMENT)
    return changes


def _numbered(args: tuple[Arg, ...], first: int) -> list[tuple[str, Arg]]:
    positions = iter(range(first, first + len(args)))
    return [(arg.name if arg.name is not None else f"arg{next(positions)}", arg) for arg in args]


def _sequences(left: Sequence[N], right: Sequence[N], path: str, kind: Kind, note: str = "") -> list[Change]:
    """Items whose order counts."""
    if sorted(map(_key, left)) == sorted(map(_key, right)):
        return [Change(path, Kind.ORDER, ", ".join(map(_show, left)), ", ".join(map(_show, right)), note)]

    def compare(i: int | None, j: int | None) -> list[Change]:
        return [_change(path, kind, _at(left, i), _at(right, j), note)]

    return _aligned(left, right, compare)


# ---------------------------------------------------------------- lines


def _lines(left: Sequence[BodyLine], right: Sequence[BodyLine], path: str) -> Iterator[Change]:
    """The lines of a body, by name; elements of a family that one side lacks are one change."""
    ours = [line for line in left if isinstance(line, Binding)]
    theirs = [line for line in right if isinstance(line, Binding)]
    told: set[str] = set()
    for name, one, other in _by_name(ours, theirs, _line_name):
        if one is not None and other is not None:
            yield from _bindings(one, other, f"{path}.{_target(one)}")
        elif (size := _family(name, ours, theirs, path)) is None:
            present = one or other
            place = f"{path}.{_target(present)}" if present else path
            yield _change(place, Kind.LINE, one, other)
        elif size.path not in told:
            told.add(size.path)
            yield size
    for kind, word in ((Output, "output"), (Aux, "aux")):
        results = [line for line in left if isinstance(line, kind)], [line for line in right if isinstance(line, kind)]
        for _, here, there in _by_name(*results, lambda _: ""):
            if here is not None and there is not None:
                yield from _compare(here.value, there.value, f"{path}.{word}")
            else:
                yield _change(f"{path}.{word}", Kind.LINE, here, there)
    yield from _rules(left, right, path)


def _target(line: Binding) -> str:
    return line.target.name if len(line.target.names) == 1 else f"({', '.join(line.target.names)})"


def _line_name(line: Binding) -> str:
    """A family is not the line of the same name: ``n[i < 4]`` is one line, ``n0`` another."""
    return _target(line) + ("[]" if line.target.dims else "")


def _split(name: str) -> tuple[str, str] | None:
    """``n2`` is element 2 of ``n``, ``h3_1`` element 3_1 of ``h``."""
    found = re.fullmatch(r"(.*?[^\W\d_]_*)((?:0|[1-9]\d*)(?:_(?:0|[1-9]\d*))*)", name)
    return (found[1], found[2]) if found else None


def _family(name: str, left: Sequence[Binding], right: Sequence[Binding], path: str) -> Change | None:
    """The change of size that explains an element on one side only: the other elements are on both."""
    if (parts := _split(name)) is None:
        return None
    base = parts[0]
    ours, theirs = _elements(left, base), _elements(right, base)
    extra, missing = [e for e in ours if e not in theirs], [e for e in theirs if e not in ours]
    if not ours or not theirs or (extra and missing):
        return None
    side = "left" if extra else "right"
    before, after = (f"{len(elements)} {_noun(elements.values())}" for elements in (ours, theirs))
    note = f"{', '.join(extra or missing)} only in the {side} file"
    return Change(f"{path}.{base}", Kind.FAMILY, before, after, note)


def _elements(lines: Sequence[Binding], base: str) -> dict[str, Binding]:
    return {
        line.target.name: line
        for line in lines
        if not line.target.dims and (parts := _split(line.target.name)) and parts[0] == base
    }


def _noun(lines: Iterable[Binding]) -> str:
    """What the elements are, if all are the same: those of ``s0 = Cell(...)`` are cells."""
    elements = list(lines)
    heads = set()
    for line in elements:
        edge = _edge(line.value)
        head = _head(edge.operations[-1]) if edge and edge.operations else None
        head = head.base if isinstance(head, Copy) else head
        heads.add(head.id if isinstance(head, Name) and head.id[:1].isupper() else "element")
    noun = heads.pop().lower() if len(heads) == 1 else "element"
    return noun if len(elements) == 1 else f"{noun}s"


def _bindings(left: Binding, right: Binding, path: str) -> Iterator[Change]:
    if [dim.index for dim in left.target.dims] != [dim.index for dim in right.target.dims]:
        ours, theirs = (f"[{', '.join(map(_show, line.target.dims))}]" for line in (left, right))
        yield Change(path, Kind.SIZE, ours, theirs)
    else:
        for one, other in zip(left.target.dims, right.target.dims, strict=True):
            if not _same(one, other):
                yield _change(path, Kind.SIZE, one.size, other.size)
    yield from _compare(left.value, right.value, path)
    yield from _lines(left.where, right.where, path)


_Rule = Require | Preference | Prune


def _rules(left: Sequence[Node], right: Sequence[Node], path: str) -> Iterator[Change]:
    """Requirements and preferences are a multiset; two about the same quantity are paired."""

    def about(rule: _Rule) -> str:
        match rule:
            case Require(condition=Binary(op=op, left=quantity)):
                return f"require {op} {_key(quantity)}"
            case Preference():
                return f"prefer {_key(rule.quantity)}"
        return _key(rule)

    def rank(one: _Rule, other: _Rule) -> int | None:
        return 0 if about(one) == about(other) else None

    ours = [line for line in left if isinstance(line, _Rule)]
    theirs = [line for line in right if isinstance(line, _Rule)]
    for one, other in _pairs(ours, theirs, rank):
        rule = one or other
        word = rule.sense.value if isinstance(rule, Preference) else type(rule).__name__.lower()
        yield _change(f"{path}.{word}", Kind.RULE, one, other)


# ---------------------------------------------------------------- definitions


def _title(definition: Definition) -> str:
    return str(definition.copy) if isinstance(definition, GraphDef) else definition.name


def _word(definition: Definition | None) -> str | None:
    match definition:
        case GraphDef():
            return definition.level.value
        case MenuDef():
            return "choice"
        case OpDef():
            return "op"
    return None


def _definitions(left: Definition | None, right: Definition | None, path: str) -> Iterator[Change]:
    if _word(left) != _word(right):
        yield Change(path, Kind.DEFINITION, _word(left), _word(right))
    if left is None or right is None:
        return
    ours, theirs = (() if isinstance(d, MenuDef) else d.inputs for d in (left, right))
    yield from _params(ours, theirs, path)
    yield from _params(left.params, right.params, path)
    match left, right:
        case GraphDef(), GraphDef():
            yield from _lines(left.body.lines, right.body.lines, path)
        case MenuDef(), MenuDef():
            yield from _compare(left.value, right.value, path)
        case OpDef(), OpDef():
            if not _same(left.shape, right.shape):
                yield Change(path, Kind.SHAPE, _shape(left.shape), _shape(right.shape))
            yield from _bodies(left, right, path)


def _bodies(left: OpDef, right: OpDef, path: str) -> Iterator[Change]:
    match left.body, right.body:
        case Block() as one, Block() as other:
            yield from _lines(one.lines, other.lines, path)
        case (Block() | External(), _) | (_, Block() | External()):
            if not _same(left.body, right.body):
                yield _change(path, Kind.VALUE, left.body, right.body)
        case one, other:
            yield from _compare(one, other, path)


def _params(left: tuple[Param, ...], right: tuple[Param, ...], path: str) -> Iterator[Change]:
    """Inputs or parameters by name; their order counts, since arguments are given by position."""
    for name, one, other in _by_name(left, right, lambda param: param.name):
        place = f"{path}.{name}"
        if one is None or other is None:
            yield _change(place, Kind.PARAMETER, one, other)
            continue
        if not _same(one.shape, other.shape):
            yield Change(place, Kind.SHAPE, _shape(one.shape), _shape(other.shape))
        if one.default is not None and other.default is not None:
            yield from _compare(one.default, other.default, place, Kind.DEFAULT)
        elif one.default is not other.default:
            yield _change(place, Kind.DEFAULT, one.default, other.default)
    ours, theirs = [param.name for param in left], [param.name for param in right]
    if not _in_order(ours, theirs):
        yield Change(path, Kind.SIGNATURE, f"({', '.join(ours)})", f"({', '.join(theirs)})")


def _in_order(left: list[str], right: list[str]) -> bool:
    return [name for name in left if name in right] == [name for name in right if name in left]


def _uses(left: tuple[Use, ...], right: tuple[Use, ...]) -> Iterator[Change]:
    def rank(one: Use, other: Use) -> int | None:
        if one.path == other.path:
            return 0
        return 1 if PurePosixPath(one.path).name == PurePosixPath(other.path).name else None

    for one, other in _pairs([_sorted(use) for use in left], [_sorted(use) for use in right], rank):
        yield replace(_change("use", Kind.USE, one, other), copy="use")


def _sorted(use: Use) -> Use:
    return replace(use, replace=tuple(sorted(use.replace, key=_key)))


# ---------------------------------------------------------------- settings


def _sections(left: Search | Train | Phase | None, right: Search | Train | Phase | None, path: str) -> Iterator[Change]:
    if left is None or right is None:
        yield _change(path, Kind.SETTING, left, right)
        return
    if left.target is not None and right.target is not None:
        yield from _settings(left.target, right.target, path)
    elif left.target is not right.target:
        yield _change(path, Kind.SETTING, left.target, right.target)
    yield from _section_lines(left.settings, right.settings, path)


def _equivalences(left: Equivalence | None, right: Equivalence | None, path: str) -> Iterator[Change]:
    if left is None or right is None:
        yield _change(path, Kind.SETTING, left, right)
    else:
        yield from _section_lines(left.settings, right.settings, path)


def _section_lines(left: tuple[SettingLine, ...], right: tuple[SettingLine, ...], path: str) -> Iterator[Change]:
    mine, their = ([line for line in lines if isinstance(line, Setting | Phase)] for lines in (left, right))
    for name, one, other in _by_name(mine, their, lambda line: line.name):
        place = f"{path}.{name}"
        match one, other:
            case Setting(), Setting():
                yield from _settings(one.value, other.value, place)
            case Phase() | None, Phase() | None:
                yield from _sections(one, other, place)
            case _:
                first, second = (line.value if isinstance(line, Setting) else line for line in (one, other))
                yield _change(place, Kind.SETTING, first, second)
    ours, theirs = ([line.name for line in lines if isinstance(line, Phase)] for lines in (left, right))
    if not _in_order(ours, theirs):
        yield Change(path, Kind.ORDER, ", ".join(ours), ", ".join(theirs), "of phases")
    yield from _rules(left, right, path)


def _settings(left: Expr, right: Expr, path: str) -> Iterator[Change]:
    """Values of settings and what a section is about: calls are compared by argument, all is a setting."""
    if _same(left, right):
        return
    if isinstance(left, Call | Name) and isinstance(right, Call | Name):
        changes = _operations(left, right, path)
    else:
        changes = _compare(left, right, path)
    yield from (replace(change, kind=Kind.SETTING) for change in changes)


# ---------------------------------------------------------------- edges


def _edges_of(module: Module) -> dict[str, list[str]]:
    """The edges of all cells, stages and networks, as keys by the path of the line they end in."""
    found: dict[str, list[str]] = {}

    def gather(lines: Iterable[Node], path: str) -> None:
        for line in lines:
            if not isinstance(line, Binding):
                continue
            place = f"{path}.{_line_name(line)}"
            terms = _terms(line.value)
            if any(map(_applies, terms)):
                found.setdefault(place, []).extend(_key(term) for term in terms if _edge(term))
            gather(line.where, place)

    for definition in module.definitions:
        if isinstance(definition, GraphDef):
            gather(definition.body.lines, _title(definition))
    return found
