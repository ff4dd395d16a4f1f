"""Which decisions make a text of a space the text of an architecture.

Texts are compared line by line: a line of the space with choices matches a line of the architecture of the same name if
some decision makes them equal. Copies are compared at the widths of the space, whatever widths the architecture has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from compiler.elaborate import BodyElaboration, Copy, Elaborated, elaborate_copy
from compiler.elaborate.values import Bound, Function, Picked, Tensor, Unknown, Value, flatten, params_of
from compiler.ir.graph import Block, Call, DecisionKind, Mix, Prim, SpaceGraph, Weigh
from compiler.ir.undecided import Open, Var, settle, spread

Found = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class _Line:
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
        return f"{self.copy}.{self.name}"


@dataclass(frozen=True)
class Leaves(Exception):
    """The architecture leaves the space here."""

    path: str
    reason: str


@dataclass
class Matcher:
    """Compares a text of the space with a text of the architecture, and the copies and operations that they use."""

    space: Elaborated
    copies: Mapping[str, Copy]
    """Those that the text of the architecture uses."""
    known: dict[object, Found | Leaves] = field(default_factory=dict)
    """What is known of pairs of copies and of operations, whoever asked."""
    best: tuple[int, Leaves] | None = None
    failed: set[tuple[int, int, bool]] = field(default_factory=set)
    """Pairs of nodes that are known not to match, so that no two ways to the same pair look at it again."""
    meant: dict[int, int] = field(default_factory=dict)
    """The node of the architecture that stands for an input or a line of the space, by its node there."""
    pruned: bool = False
    """Whether what is not there is no error, since what does not exist is not written."""

    def copy(self, copy: Copy, function: Function, like: Copy | None = None) -> Found:
        """Match a copy of the space with a definition, elaborated at the same shapes and numbers."""
        graph = copy.block.graph
        inputs = [graph.node(index).shape for index in graph.inputs]
        wanted = {param.name for param in function.definition.params}
        params: dict[str, Value] = {
            n: v for n, v in params_of(copy.block).items() if n in wanted and isinstance(v, int | float)
        }
        if like is not None:
            params = {n: params.get(n, v) for n, v in params_of(like.block).items() if n in wanted}
        if len(inputs) != len(function.definition.inputs):
            raise Leaves(copy.path, f"it takes {len(function.definition.inputs)} inputs, not {len(inputs)}")
        found, diagnostics = elaborate_copy(function, function.label or copy.path, inputs, params)
        if found is None:
            raise Leaves(copy.path, diagnostics[0].message if diagnostics else "its definition has an error")
        return Matcher(self.space, found.copies, self.known).texts(copy.body, found.body)

    def instance(self, block: Block, given: Block) -> Iterator[Found]:
        """What makes the copy, or the operation, that is applied here the one that is applied there."""
        if block.copy is None or given.copy is None:
            if block.copy is None and given.copy is None and block.name == given.name:
                yield from self.operation(block, given)
            return
        path, like = block.copy, self.copies[given.copy]
        function = Function(like.definition, like.instance, like.path)
        key = path, like.path, like.instance, str(like.definition.copy)
        yield from self.recalled(key, 4, lambda: self.copy(self.space.copies[path], function, like))

    def operation(self, block: Block, given: Block) -> Iterator[Found]:
        """An operation is known by its name and numbers, unless it was handed definitions: then by what it does."""
        if all(_is_plain(value) for side in (block, given) for value in side.params.values()):
            yield {}
            return
        inner = Matcher(self.space, self.copies, self.known)
        inner.meant = dict(zip(block.graph.inputs, given.graph.inputs, strict=True))
        # The blocks themselves are the key: the ids of blocks that are gone would come again.
        yield from self.recalled((block, given), 2, lambda: inner.graphs(block, given))

    def recalled(self, key: object, rank: int, match: Callable[[], Found]) -> Iterator[Found]:
        """What a match gives, made once; why it gives nothing is as specific as ``rank``."""
        if key not in self.known:
            try:
                self.known[key] = match()
            except Leaves as leaves:
                self.known[key] = leaves
        found = self.known[key]
        if isinstance(found, Leaves):
            self.miss(rank, found.path, found.reason)
        else:
            yield found

    def graphs(self, block: Block, given: Block) -> Found:
        """Match what an operation does, line by line."""
        mine, theirs = block.graph, given.graph
        ours, lines = ({node.line: i for i, node in graph.order() if node.line} for graph in (mine, theirs))
        if ours.keys() != lines.keys() or mine.output is None or theirs.output is None:
            raise Leaves(block.name, f"'{block.name}' is another operation here")
        self.meant |= {index: lines[name] for name, index in ours.items()}
        pairs = [_Line(block.name, name, i, lines[name], True) for name, i in ours.items() if mine.sources(i)]
        return self.lines(mine, theirs, [*pairs, _Line(block.name, "output", mine.output, theirs.output, False)])

    # ------------------------------------------------------------ texts

    def texts(self, mine: BodyElaboration, theirs: BodyElaboration) -> Found:
        """Match all lines of two texts."""
        found: Found = {}
        ours, lines = mine.tensor_lines(), theirs.tensor_lines()
        bundles = {name: value for name, value in mine.bindings.items() if isinstance(value, Picked)}
        extra = [name for name in lines if name not in ours and name not in bundles]
        if extra:
            raise Leaves(f"{mine.copy}.{extra[0]}", f"the space has no '{extra[0]}'")
        self.meant = dict(zip(mine.graph.inputs, theirs.graph.inputs, strict=True))
        self.meant |= {i: lines[name] for name, i in ours.items() if name in lines and mine.graph.node(i).line == name}
        self.pruned = mine.prune
        for name, picked in bundles.items():
            found |= self.bundle(mine, theirs, picked, theirs.bindings.get(name), f"{mine.copy}.{name}")
        pairs = []
        for name, index in ours.items():
            if name in lines:
                own = mine.graph.node(index).line == name
                pairs.append(_Line(mine.copy, name, index, lines[name], own))
            elif not self.may_lack(mine, theirs, name):
                raise Leaves(f"{mine.copy}.{name}", f"the architecture has no '{name}'")
        for family in mine.families.values():
            # Under `prune` some elements may not be written: there, who reads the family tells where it ends.
            if family.size is not None and not mine.prune:
                count = _length(theirs, family.name)
                sizes = [int(number) for number in family.size.numbers]
                if count not in sizes:
                    raise Leaves(family.size.path, f"it has {count} elements, not one of {', '.join(map(str, sizes))}")
                found[family.size.path] = (sizes.index(count),)
        found |= self.numbers(mine, theirs)
        if mine.graph.output is not None and theirs.graph.output is not None:
            pairs.append(_Line(mine.copy, "output", mine.graph.output, theirs.graph.output, False))
        return self.lines(mine.graph, theirs.graph, pairs, found)

    def numbers(self, mine: BodyElaboration, theirs: BodyElaboration) -> Found:
        """Decisions on numbers that lines are bound to."""
        found: Found = {}
        for table, other in ((mine.bindings, theirs.bindings), *_families(mine, theirs)):
            for name, value in table.items():
                if mine.prune and name not in other:
                    continue
                if isinstance(value, Var) and len(value.decisions) == 1 and isinstance(value.values[0], int | float):
                    given = other.get(name)
                    path = value.decisions[0]
                    if given not in value.values:
                        raise Leaves(path, f"{given} is not one of {', '.join(map(str, value.values))}")
                    found[path] = (value.values.index(given),)
        return found

    def may_lack(self, mine: BodyElaboration, theirs: BodyElaboration, name: str) -> bool:
        """Whether a line may be missing: the family ends before it, or nothing reaches it."""
        if mine.prune:
            return True
        for family in mine.families.values():
            if family.size is not None:
                count = _length(theirs, family.name)
                if name in {f"{family.name}{i}" for i in range(count, len(family.elements))}:
                    return True
        return False

    def lines(self, mine: SpaceGraph, theirs: SpaceGraph, lines: Sequence[_Line], found: Found | None = None) -> Found:
        """The decisions that make all lines of the space those of the architecture, in agreement with each other."""
        for line in lines:
            self.begin()
            if next(self.line(mine, theirs, line), None) is None:
                if self.best is not None:
                    raise self.best[1]
                there, here = expression(theirs, line.theirs), expression(mine, line.mine)
                raise Leaves(line.path, f"'{there}' is not '{here}'")
        for way in self.agree(mine, theirs, lines, found or {}):
            return way
        raise Leaves(lines[-1].path, "its lines need different items of one choice")

    def agree(self, mine: SpaceGraph, theirs: SpaceGraph, lines: Sequence[_Line], found: Found) -> Iterator[Found]:
        """All ways in which the lines match under one set of decisions."""
        if not lines:
            yield found
            return
        for way in self.line(mine, theirs, lines[0]):
            merged = _merge(found, way)
            if merged is not None:
                yield from self.agree(mine, theirs, lines[1:], merged)

    def line(self, mine: SpaceGraph, theirs: SpaceGraph, line: _Line) -> Iterator[Found]:
        compare = self.expand if line.own else self.unify
        mention = theirs.node(line.theirs).line not in (None, line.name)
        yield from compare(mine, line.mine, theirs, line.theirs, not mention)

    def bundle(
        self, mine: BodyElaboration, theirs: BodyElaboration, picked: Picked, given: Bound | None, path: str
    ) -> Found:
        """The decision of a pick that is a line of its own; its candidates then mean the tensors of that line."""
        candidates = [item.index for item in picked.items]
        terms = [item.index for item in _items(given) if isinstance(item, Tensor)]
        self.begin()
        for found in self.assign(mine.graph, candidates, theirs.graph, terms, True, True, {}, ()):
            taken = found[picked.decision]
            for index, term in zip(taken, terms, strict=True):
                self.meant[candidates[index]] = term
            return found
        raise self.best[1] if self.best else Leaves(path, f"it is not made of {len(candidates)} candidates")

    def begin(self) -> None:
        """Forget why the line before did not match."""
        self.best = None

    def miss(self, rank: int, path: str, reason: str) -> None:
        """Note why something does not match; the most specific reason is told."""
        if self.best is None or rank > self.best[0]:
            self.best = (rank, Leaves(path, reason))

    # ------------------------------------------------------------ expressions

    def unify(self, mine: SpaceGraph, s: int, theirs: SpaceGraph, a: int, top: bool = False) -> Iterator[Found]:
        """All ways in which node ``s`` of the space can be node ``a``; at the top, ``a`` is what a line is bound to.

        Below the top a line of the space is a mention of it, and only a mention of the same line matches it.
        """
        if s in self.meant or mine.node(s).line is not None:
            if self.meant.get(s) == a:
                yield {}
        elif (s, a, top) not in self.failed:
            matched = False
            for found in self.expand(mine, s, theirs, a, top):
                matched = True
                yield found
            if not matched:
                self.failed.add((s, a, top))

    def expand(self, mine: SpaceGraph, s: int, theirs: SpaceGraph, a: int, top: bool) -> Iterator[Found]:
        """All ways in which the expression of node ``s`` can be the one of node ``a``."""
        payload = mine.node(s).payload
        match payload:
            case Mix():
                yield from self.mix(mine, s, payload, theirs, a, top)
                return
            case Weigh():
                yield from self.unify(mine, mine.sources(s)[0], theirs, a, top)
                return
            case Prim(name="add" | "concat" as name) if self.pruned or self.picks(mine, s):
                yield from self.gather(mine, s, name, theirs, a, top)
                return
        other = theirs.node(a)
        if other.line is not None and not top:
            return
        match payload, other.payload:
            case Prim(), Prim() if payload.name == other.payload.name:
                for found in self.attributes(payload.values, other.payload.values):
                    yield from self.sources(mine, s, theirs, a, found)
            case Call(block=block), Call(block=given):
                for found in self.attributes(block.params, given.params):
                    for inside in self.instance(block, given):
                        if (merged := _merge(found, inside)) is not None:
                            yield from self.sources(mine, s, theirs, a, merged)

    def picks(self, mine: SpaceGraph, s: int) -> bool:
        """Whether a sum or concatenation has candidates of a pick among its terms."""
        return any(isinstance(mine.node(i).payload, Weigh) for i in mine.sources(s))

    def mix(self, mine: SpaceGraph, s: int, payload: Mix, theirs: SpaceGraph, a: int, top: bool) -> Iterator[Found]:
        decisions = [self.space.decisions[path] for path in payload.decisions]
        matched = False
        for source, row in zip(mine.sources(s), payload.rows, strict=True):
            for found in self.unify(mine, source, theirs, a, top):
                for assignment in row:
                    choice: Found = {d.path: (item,) for d, item in zip(decisions, assignment, strict=True)}
                    if not all(d.derivable[item] for d, item in zip(decisions, assignment, strict=True)):
                        self.miss(
                            3, decisions[0].path, f"'{expression(theirs, a)}' can be searched over but not derived"
                        )
                    elif (merged := _merge(found, choice)) is not None:
                        matched = True
                        yield merged
        if not matched:
            rank = 2 if _feeds(mine, s) & _feeds(theirs, a) else 1
            items = " | ".join(decisions[0].items)
            self.miss(rank, decisions[0].path, f"'{expression(theirs, a)}' is none of {items}")

    def gather(self, mine: SpaceGraph, s: int, name: str, theirs: SpaceGraph, a: int, top: bool) -> Iterator[Found]:
        """Match a sum or concatenation with picks in it: each term with a candidate of its own."""
        other = theirs.node(a)
        joined = isinstance(other.payload, Prim) and other.payload.name == name and (top or other.line is None)
        candidates = mine.sources(s)
        if joined:
            yield from self.assign(mine, candidates, theirs, theirs.sources(a), False, name == "concat", {}, ())
        # What is picked may be a sum itself; and a sum of one is that one.
        yield from self.assign(mine, candidates, theirs, (a,), top, name == "concat", {}, ())

    def assign(
        self,
        mine: SpaceGraph,
        candidates: Sequence[int],
        theirs: SpaceGraph,
        terms: Sequence[int],
        top: bool,
        ordered: bool,
        found: Found,
        taken: tuple[int, ...],
    ) -> Iterator[Found]:
        """All ways to give the terms, from the first on, to candidates that no other has; some keep their order."""
        if not terms:
            yield from self.picked(mine, candidates, found, taken)
            return
        for position, candidate in enumerate(candidates):
            if position in taken or (ordered and taken and position < taken[-1]):
                continue
            for more in self.unify(mine, candidate, theirs, terms[0], top):
                merged = _merge(found, more)
                if merged is not None:
                    grown = (*taken, position)
                    yield from self.assign(mine, candidates, theirs, terms[1:], top, ordered, merged, grown)

    def picked(
        self, mine: SpaceGraph, candidates: Sequence[int], found: Found, taken: Sequence[int]
    ) -> Iterator[Found]:
        """What the picks among the candidates took, if that is what they have to take."""
        picks: dict[str, list[int]] = {}
        for position, candidate in enumerate(candidates):
            payload = mine.node(candidate).payload
            if isinstance(payload, Weigh):
                picks.setdefault(payload.decision, [])
                if position in taken:
                    picks[payload.decision].append(payload.index)
            elif position not in taken and not self.pruned:
                return
        for path, items in picks.items():
            decision = self.space.decisions[path]
            if decision.kind is DecisionKind.PICK and len(items) != decision.take:
                self.miss(3, path, f"it takes {len(items)} inputs, not {decision.take}")
                return
        merged = _merge(found, {path: tuple(sorted(items)) for path, items in picks.items()})
        if merged is not None:
            yield merged

    def sources(self, mine: SpaceGraph, s: int, theirs: SpaceGraph, a: int, found: Found) -> Iterator[Found]:
        """Match the sources of two nodes in order."""
        left, right = mine.sources(s), theirs.sources(a)
        if len(left) != len(right):
            return
        ways: list[Found] = [found]
        for i, j in zip(left, right, strict=True):
            grown = []
            for way in ways:
                for more in self.unify(mine, i, theirs, j):
                    if (merged := _merge(way, more)) is not None:
                        grown.append(merged)
            ways = grown
        yield from ways

    def attributes(self, mine: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[Found]:
        """Match parameters: equal, or one value of an undecided number; definitions are compared where used."""
        ways: list[Found] = [{}]
        for name, value in mine.items():
            given = theirs.get(name)
            if value == given:
                continue
            if isinstance(value, Var) and isinstance(value.values[0], int | float):
                settled = _settlements(value, given)
                if not settled:
                    distinct = dict.fromkeys(map(str, value.values))
                    self.miss(3, value.decisions[-1], f"{given} is not one of {', '.join(distinct)}")
                    return
                ways = [merged for way in ways for more in settled if (merged := _merge(way, more)) is not None]
            elif isinstance(value, int | float | bool | str) or isinstance(value, Open) != isinstance(given, Open):
                return
        yield from ways


def _is_plain(value: object) -> bool:
    """Whether a parameter is a number, maybe undecided."""
    return isinstance(value.values[0] if isinstance(value, Var) else value, int | float | str | Open)


def _settlements(value: Var[object], given: object) -> list[Found]:
    """The decisions that settle an undecided number to the given one, which may depend on some of them itself."""
    shared = given.decisions if isinstance(given, Var) else ()
    decisions, sizes = spread((value, given))
    ways: dict[tuple[tuple[str, int], ...], bool] = {}
    for assignment in product(*map(range, sizes)):
        free = tuple((d, i) for d, i in zip(decisions, assignment, strict=True) if d not in shared)
        equal = settle(value, decisions, assignment) == settle(given, decisions, assignment)
        ways[free] = ways.get(free, True) and equal
    return [{path: (item,) for path, item in free} for free, equal in ways.items() if equal]


def _items(value: Bound | None) -> list[Value]:
    """The elements of what a name is bound to."""
    return [] if value is None or isinstance(value, Unknown) else flatten(value)


def _merge(left: Found, right: Found) -> Found | None:
    """Two sets of decisions together, unless they disagree."""
    if any(left.get(path, items) != items for path, items in right.items()):
        return None
    return {**left, **right}


def _length(text: BodyElaboration, family: str) -> int:
    return len(text.families[family].elements) if family in text.families else 0


def _families(
    mine: BodyElaboration, theirs: BodyElaboration
) -> list[tuple[Mapping[str, object], Mapping[str, object]]]:
    pairs: list[tuple[Mapping[str, object], Mapping[str, object]]] = []
    for name, family in mine.families.items():
        other = theirs.families.get(name)
        if other is not None:
            ours = {str(i): v for i, v in family.elements.items()}
            pairs.append((ours, {str(i): v for i, v in other.elements.items()}))
    return pairs


def _feeds(graph: SpaceGraph, index: int) -> set[str]:
    """The lines and inputs that an expression reads."""
    found: set[str] = set()
    seen = set(graph.sources(index))
    pending = list(seen)
    while pending:
        source = pending.pop()
        line = graph.node(source).line
        if line is not None:
            found.add(line)
            continue
        more = set(graph.sources(source)) - seen
        seen |= more
        pending += more
    return found


def expression(graph: SpaceGraph, index: int, top: bool = True) -> str:
    """A node as a short expression over lines."""
    node = graph.node(index)
    if node.line is not None and not top:
        return node.line
    parts = [expression(graph, source, False) for source in graph.sources(index)]
    match node.payload:
        case Prim(name="add"):
            return " + ".join(parts)
        case Prim(name=name):
            return f"{name}({', '.join(parts)})"
        case Call(block=block):
            return f"{block.copy or block.name}({', '.join(parts)})"
        case Mix(decisions=decisions):
            return f"{decisions[0]}({', '.join(sorted(_feeds(graph, index)))})"
        case Weigh():
            return parts[0]
    return node.line or node.name
