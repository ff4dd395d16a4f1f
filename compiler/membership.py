"""Is an architecture in a space, and if not, at which choice does it leave it (law 2)?

Texts are compared line by line: a line of the space with choices matches a line of the architecture of the same name if
some decision makes them equal. Copies are compared at the widths of the space, whatever widths the architecture has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hdas_dsl import ast
from hdas_dsl.diagnostics import HspError
from hdas_dsl.modules import Entity, Instance

from .elaborate import Copy, Elaborated, elaborate
from .elaborate.body import Elaborator
from .elaborate.state import Fault, Silent, Text
from .graph import Call, Decision, DecisionKind, Input, Mix, Node, Prim, SpaceGraph, Weigh
from .program import Program, compile_file
from .request import Request
from .symbolic import Var
from .values import Function, Tensor

Found = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Membership:
    """The answer: the decisions that give the architecture, or the choice where it leaves the space and why."""

    inside: bool
    decisions: Found = field(default_factory=dict)
    path: str | None = None
    reason: str | None = None

    def render(self) -> str:
        """One line for people."""
        if self.inside:
            return f"yes: {len(self.decisions)} decisions give it"
        return f"no: it leaves the space at {self.path}: {self.reason}"


@dataclass(frozen=True)
class _Leaves(Exception):
    """The architecture leaves the space here."""

    path: str
    reason: str


def membership_of(request: Request, space: Path) -> Membership:
    """Whether the architecture that a command names lies in the space of a file.

    Raises:
        HspError: when one of the files is wrong.
    """
    architecture = request.compile()
    text = architecture.unit.source.text
    program, diagnostics = compile_file(space)
    if program is None:
        raise HspError(diagnostics)
    if program.named_phases:
        # The definitions of the architecture stand for what the earlier phases found.
        names = [phase.name for phase in program.phases]
        whole, _ = compile_file(space, found=dict.fromkeys(names[:-1], text))
        if whole is None:
            missing = _missing_copy(program, architecture)
            return missing or Membership(False, {}, program.name, "its cells do not fit the network of the last phase")
        program = whole
    return membership(program, architecture)


def membership(program: Program, architecture: Program) -> Membership:
    """Whether the architecture lies in the space of the program (its required phases, all together)."""
    if architecture.is_space:
        return Membership(False, {}, architecture.network.name, "it still has choices in it")
    phases = [phase for phase in program.phases if not phase.optional]
    last = phases[-1].network if phases else program.network
    decisions: Found = {}
    try:
        for phase in phases[:-1]:
            for path, copy in phase.network.copies.items():
                if copy.live and not copy.text.root:
                    function = _definition(architecture.instance, path)
                    # A cell that the last phase has no use for is not in the file.
                    if function is not None:
                        decisions |= _Matcher(phase.network).copy(copy, function)
        decisions |= _network(last, architecture)
    except _Leaves as leaves:
        return Membership(False, {}, leaves.path, leaves.reason)
    return Membership(True, decisions)


def _missing_copy(program: Program, architecture: Program) -> Membership | None:
    for phase in program.phases[:-1]:
        for path, copy in phase.network.copies.items():
            if copy.live and not copy.text.root and _definition(architecture.instance, path) is None:
                return Membership(False, {}, path, f"the architecture defines no '{path}'")
    return None


def _definition(instance: Instance, path: str) -> Function | None:
    """The definition that a copy of the space has in the architecture: labelled, or the one of all labels."""
    name = path.rpartition(".")[2].partition("@")[0]
    found = instance.lookup(name)
    if not isinstance(found, Entity):
        return None
    definition = found.labelled(path) or found.plain
    return Function(definition, found.instance, path) if isinstance(definition, ast.GraphDef) else None


def _network(space: Elaborated, architecture: Program) -> Found:
    """Match the network itself at the arguments of the space, then every copy that it uses."""
    own = architecture.network
    known = {param.name for param in own.root.definition.params}
    args = {n: v for n, v in space.arguments.items() if n in known and isinstance(v, int | float | bool)}
    function = Function(own.root.definition, own.root.instance)
    again, diagnostics = elaborate(architecture.instance, function, args)
    if again is None:
        raise _Leaves(space.name, diagnostics[0].message if diagnostics else "it does not fit the space's arguments")
    matcher = _Matcher(space)
    found = matcher.texts(space.root.text, again.root.text)
    done: set[str] = set()
    pending = list(matcher.pairs.items())
    while pending:
        path, title = pending.pop()
        if path in done:
            continue
        done.add(path)
        inner = _Matcher(space)
        copy = again.copies[title]
        found |= inner.copy(space.copies[path], Function(copy.definition, copy.instance, title), copy)
        pending += inner.pairs.items()
    return found


@dataclass
class _Matcher:
    """Compares a text of the space with a text of the architecture."""

    space: Elaborated
    pairs: dict[str, str] = field(default_factory=dict)
    best: tuple[int, _Leaves] | None = None

    def copy(self, copy: Copy, function: Function, like: Copy | None = None) -> Found:
        """Match a copy of the space with a definition, elaborated at the same shapes and numbers."""
        elaborator = Elaborator()
        graph = copy.block.graph
        inputs = tuple(Tensor(0, i, graph.node(i).shape, None) for i in graph.inputs)
        wanted = {param.name for param in function.definition.params}
        params: dict[str, object] = {
            n: v for n, v in copy.block.params.items() if n in wanted and isinstance(v, int | float | bool)
        }
        if like is not None:
            params = {n: params.get(n, v) for n, v in like.block.params.items() if n in wanted}
        if len(inputs) != len(function.definition.inputs):
            raise _Leaves(copy.path, f"it takes {len(function.definition.inputs)} inputs, not {len(inputs)}")
        try:
            _, _, text = elaborator.elaborate_copy(function, copy.path, inputs, params, False, function.definition.span)
        except Fault as fault:
            raise _Leaves(copy.path, fault.diagnostic.message) from None
        except Silent:
            reason = elaborator.diagnostics[0].message if elaborator.diagnostics else "its definition has an error"
            raise _Leaves(copy.path, reason) from None
        return self.texts(copy.text, text)

    # ------------------------------------------------------------ texts

    def texts(self, mine: Text, theirs: Text) -> Found:
        """Match all lines of two texts."""
        found: Found = {}
        ours, lines = _lines(mine.graph), _lines(theirs.graph)
        extra = [name for name in lines if name not in ours and _is_line(theirs.graph, lines[name])]
        if extra:
            raise _Leaves(f"{mine.copy}.{extra[0]}", f"the space has no '{extra[0]}'")
        for name, index in ours.items():
            if isinstance(mine.graph.node(index).payload, Input):
                continue
            if name not in lines:
                if not self.may_lack(mine, theirs, name):
                    raise _Leaves(f"{mine.copy}.{name}", f"the architecture has no '{name}'")
                continue
            found |= self.line(mine, theirs, index, lines[name], f"{mine.copy}.{name}")
        for family in mine.families.values():
            if family.size is not None:
                count = _length(theirs, family.name)
                sizes = [int(number) for number in family.size.numbers]
                if count not in sizes:
                    raise _Leaves(family.size.path, f"it has {count} elements, not one of {', '.join(map(str, sizes))}")
                found[family.size.path] = (sizes.index(count),)
        found |= self.numbers(mine, theirs)
        if mine.graph.output is not None and theirs.graph.output is not None:
            found |= self.line(mine, theirs, mine.graph.output, theirs.graph.output, f"{mine.copy}.output")
        return found

    def numbers(self, mine: Text, theirs: Text) -> Found:
        """Decisions on numbers that lines are bound to."""
        found: Found = {}
        for table, other in ((mine.bindings, theirs.bindings), *_families(mine, theirs)):
            for name, value in table.items():
                if isinstance(value, Var) and len(value.decisions) == 1 and isinstance(value.values[0], int | float):
                    given = other.get(name)
                    path = value.decisions[0]
                    if given not in value.values:
                        raise _Leaves(path, f"{given} is not one of {', '.join(map(str, value.values))}")
                    found[path] = (value.values.index(given),)
        return found

    def may_lack(self, mine: Text, theirs: Text, name: str) -> bool:
        """Whether a line may be missing: the family ends before it, or nothing reaches it."""
        if mine.prune:
            return True
        for family in mine.families.values():
            if family.size is not None:
                count = _length(theirs, family.name)
                if name in {f"{family.name}{i}" for i in range(count, len(family.elements))}:
                    return True
        return False

    def line(self, mine: Text, theirs: Text, index: int, other: int, path: str) -> Found:
        """The decisions that make a line of the space the one of the architecture."""
        self.best = None
        for found in self.unify(mine.graph, index, theirs.graph, other, top=True):
            return found
        if self.best is not None:
            raise self.best[1]
        raise _Leaves(path, f"'{expression(theirs.graph, other)}' is not '{expression(mine.graph, index)}'")

    def miss(self, rank: int, path: str, reason: str) -> None:
        """Note why something does not match; the most specific reason is told."""
        if self.best is None or rank > self.best[0]:
            self.best = (rank, _Leaves(path, reason))

    # ------------------------------------------------------------ expressions

    def unify(self, mine: SpaceGraph, s: int, theirs: SpaceGraph, a: int, top: bool = False) -> Iterator[Found]:
        """All ways in which node ``s`` of the space can be node ``a``."""
        node, other = mine.node(s), theirs.node(a)
        if not top and (node.line is not None or other.line is not None) and not _is_alias(node, other):
            if node.line == other.line:
                yield {}
            return
        match node.payload:
            case Input():
                if node.line == other.line:
                    yield {}
            case Mix():
                yield from self.mix(mine, s, node.payload, theirs, a)
            case Weigh():
                yield from self.unify(mine, mine.sources(s)[0], theirs, a)
            case Prim(name="add") if any(isinstance(mine.node(i).payload, Weigh) for i in mine.sources(s)):
                yield from self.pick(mine, s, theirs, a)
            case Prim():
                if isinstance(other.payload, Prim) and other.payload.name == node.payload.name:
                    for found in self.attributes(node.payload.values, other.payload.values):
                        yield from self.sources(mine, s, theirs, a, found)
            case Call(block=block):
                if isinstance(other.payload, Call):
                    theirs_block = other.payload.block
                    same = theirs_block.name == block.name if block.level == "op" else theirs_block.level != "op"
                    if same:
                        for found in self.attributes(block.params, theirs_block.params):
                            for more in self.sources(mine, s, theirs, a, found):
                                if block.copy is not None and theirs_block.copy is not None:
                                    self.pairs[block.copy] = theirs_block.copy
                                yield more

    def mix(self, mine: SpaceGraph, s: int, payload: Mix, theirs: SpaceGraph, a: int) -> Iterator[Found]:
        decisions = [self.space.decisions[path] for path in payload.decisions]
        matched = False
        for source, row in zip(mine.sources(s), payload.rows, strict=True):
            for found in self.unify(mine, source, theirs, a):
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

    def pick(self, mine: SpaceGraph, s: int, theirs: SpaceGraph, a: int) -> Iterator[Found]:
        """Match the terms of a sum with the candidates of a pick, each term with a candidate of its own."""
        weighed = [i for i in mine.sources(s) if isinstance(mine.node(i).payload, Weigh)]
        fixed = [i for i in mine.sources(s) if i not in weighed]
        first = mine.node(weighed[0]).payload
        assert isinstance(first, Weigh)
        decision = self.space.decisions[first.decision]
        payload = theirs.node(a).payload
        is_sum = isinstance(payload, Prim) and payload.name == "add"
        terms = list(theirs.sources(a)) if is_sum else [a]
        count = len(terms) - len(fixed)
        if decision.kind is DecisionKind.PICK and count != decision.take:
            self.miss(1, decision.path, f"it takes {count} inputs, not {decision.take}")
            return
        yield from self.assign(mine, [*fixed, *weighed], theirs, terms, decision, {}, frozenset())

    def assign(
        self,
        mine: SpaceGraph,
        candidates: Sequence[int],
        theirs: SpaceGraph,
        terms: Sequence[int],
        decision: Decision,
        found: Found,
        taken: frozenset[int],
    ) -> Iterator[Found]:
        if not terms:
            chosen = sorted(payload.index for i in taken if isinstance(payload := mine.node(i).payload, Weigh))
            merged = _merge(found, {decision.path: tuple(chosen)})
            if merged is not None:
                yield merged
            return
        for candidate in candidates:
            if candidate in taken:
                continue
            for more in self.unify(mine, candidate, theirs, terms[0]):
                merged = _merge(found, more)
                if merged is not None:
                    rest = (*terms[1:],)
                    yield from self.assign(mine, candidates, theirs, rest, decision, merged, taken | {candidate})

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
        found: Found = {}
        for name, value in mine.items():
            given = theirs.get(name)
            if isinstance(value, Var) and isinstance(value.values[0], int | float):
                ways = [a for a, v in zip(value.assignments(), value.values, strict=True) if v == given]
                if not ways:
                    self.miss(3, value.decisions[0], f"{given} is not one of {', '.join(map(str, value.values))}")
                    return
                if len(value.decisions) == 1:
                    merged = _merge(found, {value.decisions[0]: (ways[0][0],)})
                    if merged is None:
                        return
                    found = merged
            elif isinstance(value, int | float | bool | str) and value != given:
                return
        yield found


def _merge(left: Found, right: Found) -> Found | None:
    """Two sets of decisions together, unless they disagree."""
    if any(left.get(path, items) != items for path, items in right.items()):
        return None
    return {**left, **right}


def _length(text: Text, family: str) -> int:
    return len(text.families[family].elements) if family in text.families else 0


def _lines(graph: SpaceGraph) -> dict[str, int]:
    return {node.line: index for index, node in graph.order() if node.line is not None and not _is_aux(node)}


def _is_aux(node: Node) -> bool:
    return node.name == "aux" or node.name.startswith("aux.")


def _is_line(graph: SpaceGraph, index: int) -> bool:
    return not isinstance(graph.node(index).payload, Input)


def _is_alias(node: Node, other: Node) -> bool:
    """Inputs that definitions call differently stand at the same place."""
    return isinstance(node.payload, Input) and isinstance(other.payload, Input) and node.payload == other.payload


def _families(mine: Text, theirs: Text) -> list[tuple[Mapping[str, object], Mapping[str, object]]]:
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
    pending = list(graph.sources(index))
    while pending:
        source = pending.pop()
        line = graph.node(source).line
        if line is not None:
            found.add(line)
        else:
            pending += graph.sources(source)
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
