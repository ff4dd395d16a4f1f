"""Which decisions make a text of a space the text of an architecture.

Texts are compared line by line: a line of the space with choices matches a line of the architecture of the same name if
some decision makes them equal. Copies are compared instance by instance: those of the space where widths and other
numbers are undecided, those of the architecture where they are decided. What settles the one to the other is found by
the same comparison as any other decision. Both are at the arguments of the space, whatever those of the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from compiler.elaborate import BodyElaboration, Copy, Elaborated, elaborate_copy
from compiler.elaborate.values import (
    Bound,
    Function,
    Picked,
    Tensor,
    Unknown,
    Value,
    flatten,
    is_undecided_number,
    params_of,
)
from compiler.ir.decision import Selection
from compiler.ir.graph import Block, SpaceGraph
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var, assignments, settle, spread
from hdas_dsl.sameness import say_the_same

from .found import Misses, NotInSpace, Ways, merge
from .graph_matching import GraphMatcher, expression, settlements


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


@dataclass
class Matcher:
    """Compares bodies of the space with bodies of the architecture, and the copies and operations that they use.

    Attributes:
        space: the space.
        copies: those that the body of the architecture uses.
        known: the ways to match each pair of copies, and of operations, found so far.
        same: whether two definitions of operations say the same.
    """

    space: Elaborated
    copies: Mapping[str, Copy]
    known: dict[object, Ways] = field(default_factory=dict)
    same: dict[object, bool] = field(default_factory=dict)

    def definition(self, copy: Copy, function: Function) -> Selection:
        """Match a copy of the space with a definition that no network of the architecture uses.

        It is elaborated at the shapes and numbers of the copy, under each way to settle those that are undecided.

        Raises:
            NotInSpace: it matches under none.
        """
        graph = copy.block.graph
        inputs = [graph.node(index).shape for index in graph.inputs]
        wanted = {param.name for param in function.definition.params}
        params = {name: value for name, value in params_of(copy.block).items() if name in wanted and _is_plain(value)}
        if len(inputs) != len(function.definition.inputs):
            raise NotInSpace(copy.path, f"it takes {len(function.definition.inputs)} inputs, not {len(inputs)}")
        decisions, sizes = spread([*(dim for shape in inputs for dim in shape.dims), *params.values()])
        missed: NotInSpace | None = None
        for assignment in assignments(sizes):
            shapes = [Shape(tuple(settle(dim, decisions, assignment) for dim in shape.dims)) for shape in inputs]
            numbers: dict[str, Value] = {n: settle(value, decisions, assignment) for n, value in params.items()}
            settled: Selection = {path: (item,) for path, item in zip(decisions, assignment, strict=True)}
            try:
                for found in self._at(copy, function, shapes, numbers):
                    if merge(found, settled) is not None:
                        return found
            except NotInSpace as refusal:
                missed = missed or refusal
        raise missed or NotInSpace(copy.path, "nothing settles its numbers")

    def _at(
        self, copy: Copy, function: Function, shapes: Sequence[Shape], numbers: Mapping[str, Value]
    ) -> Iterator[Selection]:
        """All ways in which a copy of the space can be a definition at given shapes and numbers."""
        path = function.label or copy.path
        found, diagnostics = elaborate_copy(function, path, shapes, numbers, self.space.externals)
        if found is None:
            raise NotInSpace(copy.path, diagnostics[0].message if diagnostics else "its definition has an error")
        return Matcher(self.space, found.copies, self.known, self.same).bodies(copy.body, found.body)

    # ------------------------------------------------------------ instances

    def instances(self, block: Block, given: Block, misses: Misses) -> Iterator[Selection]:
        """What makes the copy, or the operation, that is applied here the one that is applied there."""
        if block.copy is None or given.copy is None:
            if block.copy is None and given.copy is None:
                if self.is_one_operation(block, given):
                    yield from self.operation(block, given, misses)
                elif block.name == given.name:
                    misses.note(3, block.name, f"'{block.name}' is another operation here")
            return
        mine, theirs = self.space.copies[block.copy], self.copies[given.copy]
        yield from self.recalled(
            (block, given), lambda: self.bodies(mine.bodies[block], theirs.bodies[given]), 4, misses
        )

    def is_one_operation(self, block: Block, given: Block) -> bool:
        """Whether the definitions of two operations say the same, in whichever files and under whichever names.

        A file may define an operation of its own that has a name of the space; where two have one, derivation numbers
        them.
        """
        one, other = block.definition, given.definition
        if one is None or other is None:
            return block.name == given.name
        key = block.name, one[1], given.name, other[1]
        if key not in self.same:
            self.same[key] = say_the_same(one, other)
        return self.same[key]

    def operation(self, block: Block, given: Block, misses: Misses) -> Iterator[Selection]:
        """An operation is one of its definition and numbers; where it was handed definitions, by what it does."""
        if all(_is_plain(value) for side in (block, given) for value in side.params.values()):
            yield {}
            return
        yield from self.recalled((block, given), lambda: self.operations(block, given), 2, misses)

    def recalled(
        self, key: object, match: Callable[[], Iterator[Selection]], rank: int, misses: Misses
    ) -> Iterator[Selection]:
        """All ways in which a pair matches, each found once; why there is none is as specific as ``rank``."""
        ways = self.known.setdefault(key, Ways(match()))
        yield from ways
        if ways.refusal is not None:
            misses.note(rank, ways.refusal.path, ways.refusal.reason)

    def operations(self, block: Block, given: Block) -> Iterator[Selection]:
        """All ways in which an operation does what another does, line by line."""
        matcher = self.graphs(block.graph, given.graph)
        mine, theirs = block.graph, given.graph
        ours, lines = ({node.line: i for i, node in graph.order() if node.line} for graph in (mine, theirs))
        if ours.keys() != lines.keys() or mine.output is None or theirs.output is None:
            raise NotInSpace(block.name, f"'{block.name}' is another operation here")
        matcher.correspondence |= {index: lines[name] for name, index in ours.items()}
        pairs = [_Line(block.name, name, i, lines[name], True) for name, i in ours.items() if mine.sources(i)]
        yield from match_lines(matcher, [*pairs, _Line(block.name, "output", mine.output, theirs.output, False)], {})

    def graphs(self, mine: SpaceGraph, theirs: SpaceGraph, pruned: bool = False) -> GraphMatcher:
        """A comparison of two graphs whose inputs stand for each other."""
        correspondence = dict(zip(mine.inputs, theirs.inputs, strict=True))
        return GraphMatcher(mine, theirs, self.space.decisions, self.instances, pruned, correspondence)

    # ------------------------------------------------------------ bodies

    def bodies(self, mine: BodyElaboration, theirs: BodyElaboration) -> Iterator[Selection]:
        """All ways in which all lines of a body can be those of another.

        Raises:
            NotInSpace: there are none.
        """
        ours, lines = mine.tensor_lines(), theirs.tensor_lines()
        bundles = {name: value for name, value in mine.bindings.items() if isinstance(value, Picked)}
        extra = [name for name in lines if name not in ours and name not in bundles]
        if extra:
            raise NotInSpace(f"{mine.copy}.{extra[0]}", f"the space has no '{extra[0]}'")
        matcher = self.graphs(mine.graph, theirs.graph, mine.prune)
        own = {name for name, index in ours.items() if mine.graph.node(index).line == name}
        matcher.correspondence |= {ours[name]: lines[name] for name in ours if name in own and name in lines}
        found: Selection = {}
        for name, picked in bundles.items():
            found |= _bundle(matcher, picked, theirs.bindings.get(name), f"{mine.copy}.{name}")
        pairs = []
        for name, index in ours.items():
            if name in lines:
                pairs.append(_Line(mine.copy, name, index, lines[name], name in own))
            elif not _may_lack(mine, theirs, name):
                raise NotInSpace(f"{mine.copy}.{name}", f"the architecture has no '{name}'")
        numbers = [*_sizes(mine, theirs), *_numbers(mine, theirs)]
        if mine.graph.output is not None and theirs.graph.output is not None:
            pairs.append(_Line(mine.copy, "output", mine.graph.output, theirs.graph.output, False))
        yield from match_lines(matcher, pairs, found, numbers)


# ---------------------------------------------------------------- lines


def match_lines(
    matcher: GraphMatcher, lines: Sequence[_Line], found: Selection, numbers: Sequence[Sequence[Selection]] = ()
) -> Iterator[Selection]:
    """All decisions that make all lines of the space those of the architecture, in agreement with each other.

    Args:
        matcher: compares the graphs that the lines are of.
        lines: the lines that are tensors.
        found: the decisions that are known before.
        numbers: the ways to settle each undecided number: one that a name is bound to, or the size of a family.

    Raises:
        NotInSpace: there are none.
    """
    misses = matcher.misses
    for line in lines:
        misses.clear()
        if next(_ways(matcher, line), None) is None:
            there, here = expression(matcher.theirs, line.theirs), expression(matcher.mine, line.mine)
            raise misses.best or NotInSpace(line.path, f"'{there}' is not '{here}'")
    # What is certain comes first, so that the search for the rest goes back over little.
    certain = [partial(iter, ways) for ways in numbers if len(ways) == 1]
    open_ways = [partial(iter, ways) for ways in numbers if len(ways) > 1]
    parts = [*certain, *(partial(_ways, matcher, line) for line in lines), *open_ways]
    agreed = False
    for agreement in _agreements(parts, found):
        agreed = True
        yield agreement
    if not agreed:
        raise NotInSpace(lines[-1].path, "its lines need different items of one choice")


def _agreements(parts: Sequence[Callable[[], Iterator[Selection]]], found: Selection) -> Iterator[Selection]:
    """All ways in which the parts match under one set of decisions, each part being given by its ways."""
    if not parts:
        yield found
        return
    for way in parts[0]():
        merged = merge(found, way)
        if merged is not None:
            yield from _agreements(parts[1:], merged)


def _ways(matcher: GraphMatcher, line: _Line) -> Iterator[Selection]:
    """All ways in which a line matches."""
    compare = matcher.expand if line.own else matcher.unify
    is_mention = matcher.theirs.node(line.theirs).line not in (None, line.name)
    yield from compare(line.mine, line.theirs, not is_mention)


def _bundle(matcher: GraphMatcher, picked: Picked, given: Bound | None, path: str) -> Selection:
    """The decision of a pick that is a line of its own; its candidates then mean the tensors of that line."""
    candidates = [item.index for item in picked.items]
    terms = [item.index for item in _items(given) if isinstance(item, Tensor)]
    matcher.misses.clear()
    for found in matcher.assign(candidates, terms, True, True, {}, ()):
        taken = found[picked.decision]
        for index, term in zip(taken, terms, strict=True):
            matcher.correspondence[candidates[index]] = term
        return found
    raise matcher.misses.best or NotInSpace(path, f"it is not made of {len(candidates)} candidates")


def _sizes(mine: BodyElaboration, theirs: BodyElaboration) -> list[list[Selection]]:
    """The ways to end each family where it ends. Under `prune` some elements may not be written: there, readers tell.

    Raises:
        NotInSpace: one ends elsewhere.
    """
    found: list[list[Selection]] = []
    for family in mine.families.values():
        if family.size is not None and not mine.prune:
            path, numbers, count = family.size.path, family.size.numbers, _length(theirs, family.name)
            if count not in numbers:
                raise NotInSpace(path, f"it has {count} elements, not one of {', '.join(map(str, numbers))}")
            found.append([{path: (item,)} for item, number in enumerate(numbers) if number == count])
    return found


def _numbers(mine: BodyElaboration, theirs: BodyElaboration) -> list[list[Selection]]:
    """The ways to settle each undecided number that a parameter, a line or an element is bound to.

    Raises:
        NotInSpace: the architecture has none of the values of one.
    """
    found = []
    for table, other in ((mine.bindings, theirs.bindings), *_families(mine, theirs)):
        for name, value in table.items():
            if is_undecided_number(value) and not (mine.prune and name not in other):
                given = other.get(name)
                ways = settlements(value, given)
                if not ways:
                    distinct = ", ".join(dict.fromkeys(map(str, value.values)))
                    raise NotInSpace(value.decisions[-1], f"{given} is not one of {distinct}")
                found.append(ways)
    return found


def _may_lack(mine: BodyElaboration, theirs: BodyElaboration, name: str) -> bool:
    """Whether a line may be missing: the family ends before it, or nothing reaches it."""
    if mine.prune:
        return True
    for family in mine.families.values():
        if family.size is not None:
            count = _length(theirs, family.name)
            if name in {f"{family.name}{i}" for i in range(count, len(family.elements))}:
                return True
    return False


def _is_plain(value: object) -> bool:
    """Whether a parameter is a number, maybe undecided."""
    return isinstance(value.values[0] if isinstance(value, Var) else value, int | float | str | Open)


def _items(value: Bound | None) -> list[Value]:
    """The elements of what a name is bound to."""
    return [] if value is None or isinstance(value, Unknown) else flatten(value)


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
