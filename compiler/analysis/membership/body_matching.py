"""The decisions under which a text of a space is the text of an architecture.

Texts are compared line by line: a line of the space with choices matches a line of the architecture of the same name if
some decision makes them equal. Copies are compared instance by instance: those of the space where widths and other
numbers are undecided, those of the architecture where they are decided. What settles the one to the other is found by
the same comparison as any other decision. Both are at the arguments of the space, whatever those of the architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.elaborate import BodyElaboration, Copy, Elaborated, elaborate_copy
from compiler.elaborate.values import (
    Bundle,
    Function,
    Picked,
    Value,
    is_tensors,
    params_of,
)
from compiler.ir.decision import Selection
from compiler.ir.graph import Block, Call, SpaceGraph
from compiler.ir.shape import Shape
from compiler.ir.undecided import Var, assignments, is_plain, settle, spread
from compiler.util.plural import plural
from hdas_dsl.sameness import equal_up_to_names

from .found import Effort, Misses, NotInSpaceError, Ways, merge
from .graph_matching import GraphMatcher
from .line_matching import LinePair, match_bundle, match_lines
from .number_matching import bound_numbers, family_sizes, may_lack


@dataclass
class Matcher:
    """Compares bodies of the space with bodies of the architecture, and the copies and operations that they use.

    Attributes:
        space: the space.
        copies: those that the body of the architecture uses.
        known: the ways to match each pair of copies, and of operations, found so far.
        same: whether two definitions of operations say the same.
        effort: what the comparison has taken so far.
    """

    space: Elaborated
    copies: Mapping[str, Copy]
    known: dict[object, Ways] = field(default_factory=dict)
    same: dict[object, bool] = field(default_factory=dict)
    effort: Effort = field(default_factory=Effort)

    def definition(self, copy: Copy, function: Function) -> Selection:
        """Match a copy of the space with a definition that no network of the architecture uses.

        It is elaborated at the shapes and numbers of the copy, under each way to settle those that are undecided.

        Raises:
            NotInSpaceError: it matches under none.
        """
        graph = copy.block.graph
        inputs = [graph.node(index).shape for index in graph.inputs]
        wanted = {param.name for param in function.definition.params}
        params = {name: value for name, value in params_of(copy.block).items() if name in wanted and is_plain(value)}
        if len(inputs) != len(function.definition.inputs):
            raise NotInSpaceError(
                copy.path, f"it takes {plural(len(function.definition.inputs), 'input')}, not {len(inputs)}"
            )
        decisions, sizes = spread([*(dim for shape in inputs for dim in shape.dims), *params.values()])
        missed: NotInSpaceError | None = None
        for assignment in assignments(sizes):
            shapes = [Shape(tuple(settle(dim, decisions, assignment) for dim in shape.dims)) for shape in inputs]
            numbers: dict[str, Value] = {n: settle(value, decisions, assignment) for n, value in params.items()}
            settled: Selection = {path: (item,) for path, item in zip(decisions, assignment, strict=True)}
            try:
                for found in self._at(copy, function, shapes, numbers):
                    if merge(found, settled) is not None:
                        return found
            except NotInSpaceError as refusal:
                missed = missed or refusal
        raise missed or NotInSpaceError(copy.path, "nothing settles its numbers")

    def _at(
        self, copy: Copy, function: Function, shapes: Sequence[Shape], numbers: Mapping[str, Value]
    ) -> Iterator[Selection]:
        """All ways in which a copy of the space can be a definition at given shapes and numbers."""
        path = function.label or copy.path
        found, diagnostics = elaborate_copy(function, path, shapes, numbers, self.space.externals)
        if found is None:
            raise NotInSpaceError(copy.path, diagnostics[0].message if diagnostics else "its definition has an error")
        return Matcher(self.space, found.copies, self.known, self.same, self.effort).bodies(copy.body, found.body)

    # ------------------------------------------------------------ instances

    def instances(self, block: Block, given: Block, misses: Misses) -> Iterator[Selection]:
        """The decisions that make the copy, or the operation, of ``block`` that of ``given``."""
        if block.copy is None or given.copy is None:
            if block.copy is None and given.copy is None:
                if _applies_copies(block) and _applies_copies(given):  # whose texts differ by what was chosen in them
                    yield from self.recalled((block, given), lambda: self.operations(block, given), 4, misses)
                elif self.is_one_operation(block, given):
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
            self.same[key] = equal_up_to_names(one, other)
        return self.same[key]

    def operation(self, block: Block, given: Block, misses: Misses) -> Iterator[Selection]:
        """An operation is one of its definition and numbers; where it was handed definitions, by what it does."""
        if all(is_plain(value) for side in (block, given) for value in side.params.values()):
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
            raise NotInSpaceError(block.name, f"'{block.name}' is another operation here")
        matcher.correspondence |= {index: lines[name] for name, index in ours.items()}
        pairs = [LinePair(block.name, name, i, lines[name], True) for name, i in ours.items() if mine.sources(i)]
        yield from match_lines(matcher, [*pairs, LinePair(block.name, "output", mine.output, theirs.output, False)], {})

    def graphs(self, mine: SpaceGraph, theirs: SpaceGraph, pruned: bool = False) -> GraphMatcher:
        """A comparison of two graphs whose inputs stand for each other."""
        correspondence = dict(zip(mine.inputs, theirs.inputs, strict=True))
        return GraphMatcher(mine, theirs, self.space.decisions, self.instances, self.effort, pruned, correspondence)

    # ------------------------------------------------------------ bodies

    def bodies(self, mine: BodyElaboration, theirs: BodyElaboration) -> Iterator[Selection]:
        """All ways in which all lines of a body can be those of another.

        Raises:
            NotInSpaceError: there are none.
        """
        ours, lines = mine.tensor_lines(), theirs.tensor_lines()
        bundles = {name: value for name, value in mine.bindings.items() if isinstance(value, Picked)}
        several = {
            name for name, value in mine.bindings.items() if isinstance(value, Bundle | Var) and is_tensors(value)
        }
        extra = [name for name in lines if name not in ours and name not in bundles and name not in several]
        if extra:
            raise NotInSpaceError(f"{mine.copy}.{extra[0]}", f"the space has no '{extra[0]}'")
        matcher = self.graphs(mine.graph, theirs.graph, mine.prune)
        own = {name for name, index in ours.items() if mine.graph.node(index).line == name}
        matcher.correspondence |= {ours[name]: lines[name] for name in ours if name in own and name in lines}
        found: Selection = {}
        for name, picked in bundles.items():
            found |= match_bundle(matcher, picked, theirs.bindings.get(name), f"{mine.copy}.{name}")
        pairs = []
        for name, index in ours.items():
            if name in lines:
                pairs.append(LinePair(mine.copy, name, index, lines[name], name in own))
            elif not may_lack(mine, theirs, name):
                raise NotInSpaceError(f"{mine.copy}.{name}", f"the architecture has no '{name}'")
        numbers = [*family_sizes(mine, theirs), *bound_numbers(mine, theirs)]
        if mine.graph.output is not None and theirs.graph.output is not None:
            pairs.append(LinePair(mine.copy, "output", mine.graph.output, theirs.graph.output, False))
        yield from match_lines(matcher, pairs, found, numbers)


def _applies_copies(block: Block) -> bool:
    """Whether an operation applies cells or stages, itself or in an operation."""
    calls = [node.payload.block for _, node in block.graph.order() if isinstance(node.payload, Call)]
    return any(inner.copy is not None or _applies_copies(inner) for inner in calls)
