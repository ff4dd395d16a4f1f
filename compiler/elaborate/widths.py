"""Open widths of an architecture, solved from the readers of the tensors.

A sum has one width. Of a concatenation of a given width, all open parts have equal shares, and the first of them one
channel more where that does not divide. What is cut is as wide as the widest that is cut from it. NAS-Bench-101 derives
the widths inside its cells by these rules (Ying et al., ICML 2019, supplement S1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from compiler.ir.graph import Block, Call, Node, SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.base import Gather
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Open
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span

from .errors import ElaborationError

Widths = Mapping[Open, int]

T = TypeVar("T")


def solve(block: Block) -> Widths:
    """The open widths of a block and of all blocks in it; a choice that was made is as wide as what it took.

    Raises:
        ElaborationError: nothing says how wide a tensor is, two readers need different widths, or there are too
            few channels.
    """
    solver = _Solver()
    solver.read(block)
    return solver.solved()


@dataclass(frozen=True)
class _Join:
    """A concatenation: its parts in order, and the width of the whole."""

    parts: tuple[Extent, ...]
    whole: Extent
    span: Span


@dataclass(frozen=True)
class _Cut:
    """The first channels of something at least as wide."""

    part: Extent
    whole: Extent
    span: Span


@dataclass
class _Solver:
    widths: dict[Open, int] = field(default_factory=dict)
    same: dict[Open, Open] = field(default_factory=dict)
    """Open widths that are equal, as a forest: each but one of a tree points to another."""
    joins: list[_Join] = field(default_factory=list)
    cuts: list[_Cut] = field(default_factory=list)
    places: dict[Open, Span] = field(default_factory=dict)
    """Where each open width is met first."""
    seen: set[Block] = field(default_factory=set)

    def read(self, block: Block) -> None:
        """Collect what the nodes of a block say of widths."""
        if block in self.seen:
            return
        self.seen.add(block)
        for index, node in block.graph.order():
            if isinstance(node.shape.c, Open):
                self.places.setdefault(node.shape.c, node.span)
            shapes = [block.graph.node(source).shape for source in block.graph.sources(index)]
            match node.payload:
                case Call(block=inner):
                    self.read(inner)
                case Mix() | Weigh():
                    self.unify(shapes[0].c, node.shape.c, node.span)
                case Prim(op=op) if op.gather is Gather.SUM:
                    for shape in shapes:
                        self.unify(shape.c, node.shape.c, node.span)
                case Prim(op=op) if op.gather is Gather.CONCATENATION:
                    self.joins.append(_Join(tuple(shape.c for shape in shapes), node.shape.c, node.span))
                case Prim(op=op) if op.slices_channels:
                    self.cuts.append(_Cut(node.shape.c, shapes[0].c, node.span))

    # ------------------------------------------------------------ what is known

    def root(self, width: Open) -> Open:
        while width in self.same:
            width = self.same[width]
        return width

    def value(self, width: Extent) -> int | None:
        """The number, where it is known."""
        if isinstance(width, Open):
            return self.widths.get(self.root(width))
        return width if isinstance(width, int) else None

    def give(self, width: Extent, number: int, span: Span) -> None:
        """Let a width be a number."""
        known = self.value(width)
        if number < 1:
            raise ElaborationError(
                Code.CHANNELS, span, f"an open width would be {number}: there are fewer channels than parts"
            )
        if known is not None and known != number:
            raise ElaborationError(Code.CHANNELS, span, f"an open width would have to be {known} and {number}")
        if isinstance(width, Open):
            self.widths[self.root(width)] = number

    def unify(self, a: Extent, b: Extent, span: Span) -> None:
        if isinstance(a, Open) and isinstance(b, Open):
            first, second = self.root(a), self.root(b)
            if first is not second:
                known = self.widths.pop(first, None)
                self.same[first] = second
                if known is not None:
                    self.give(second, known, span)
        elif isinstance(a, int) and isinstance(b, int | Open):
            self.give(b, a, span)
        elif isinstance(b, int) and isinstance(a, Open):
            self.give(a, b, span)

    # ------------------------------------------------------------ solving

    def solved(self) -> Widths:
        """Every width that follows; what is known first, then shares, then what is as wide as the widest reader."""
        while self.join() or self.widest():
            pass
        for cut in self.cuts:
            part, whole = self.value(cut.part), self.value(cut.whole)
            if part is not None and whole is not None and part > whole:
                raise ElaborationError(Code.CHANNELS, cut.span, f"cannot cut {part} channels from {whole}")
        for width, span in self.places.items():
            if self.value(width) is None:
                hint = "a concatenation of a given width says it, a sum with something known, or what is cut from it"
                raise ElaborationError(
                    Code.UNDECIDED, span, "this width is open, and nothing that reads it says what it is", hint
                )
        return {width: self.widths[self.root(width)] for width in self.places}

    def join(self) -> bool:
        """Settle one concatenation that can be; whether there was one."""
        for join in self.joins:
            whole = self.value(join.whole)
            known = [self.value(part) for part in join.parts]
            total = sum(number for number in known if number is not None)
            missing = [part for part, number in zip(join.parts, known, strict=True) if number is None]
            if whole is None and not missing:
                self.give(join.whole, total, join.span)
            elif whole is not None and missing:
                share, more = divmod(whole - total, len(missing))
                for position, part in enumerate(missing):
                    self.give(part, share + (position < more), join.span)
            elif whole is not None and total != whole:
                raise ElaborationError(
                    Code.CHANNELS, join.span, f"this concatenation has {total} channels, not {whole}"
                )
            else:
                continue
            return True
        return False

    def widest(self) -> bool:
        """Settle one width that is only known by what is cut from it; whether there was one."""
        readers: dict[Open, list[_Cut]] = {}
        for cut in self.cuts:
            if isinstance(cut.whole, Open) and self.value(cut.whole) is None:
                readers.setdefault(self.root(cut.whole), []).append(cut)
        for width, cuts in readers.items():
            numbers = [self.value(cut.part) for cut in cuts]
            if None not in numbers:
                self.give(width, max(number for number in numbers if number is not None), cuts[0].span)
                return True
        return False


# ---------------------------------------------------------------- the graph with numbers


def fill(block: Block, widths: Widths) -> Block:
    """The block with numbers in place of the widths that are known; blocks without any stay the same."""
    return _Filler(widths).block(block) if widths else block


@dataclass
class _Filler:
    widths: Widths
    made: dict[Block, Block] = field(default_factory=dict)

    def value(self, value: T) -> T | int:
        """The number of an open width that is known; any other value as it is."""
        return self.widths.get(value, value) if isinstance(value, Open) else value

    def block(self, block: Block) -> Block:
        if block not in self.made:
            nodes = [(node, self.node(node), block.graph.sources(index)) for index, node in block.graph.order()]
            same = all(made is node for node, made, _ in nodes)
            self.made[block] = block if same else self.copied(block, [(made, s) for _, made, s in nodes])
        return self.made[block]

    def node(self, node: Node) -> Node:
        dims = tuple(self.value(dim) for dim in node.shape.dims)
        shape = node.shape if dims == node.shape.dims else Shape(dims)
        payload = node.payload
        if isinstance(payload, Call):
            inner = self.block(payload.block)
            payload = payload if inner is payload.block else Call(inner)
        elif isinstance(payload, Prim):
            op = payload.op.map(self.value)
            payload = payload if op is payload.op else Prim(op)
        return node if shape is node.shape and payload is node.payload else replace(node, shape=shape, payload=payload)

    def copied(self, block: Block, nodes: list[tuple[Node, tuple[int, ...]]]) -> Block:
        graph = SpaceGraph()
        for node, sources in nodes:
            graph.add(node, sources)
        graph.output, graph.aux = block.graph.output, block.graph.aux
        params = {name: self.value(value) for name, value in block.params.items()}
        said = {name: str(value) for name, value in params.items() if value is not block.params[name]}
        arguments = tuple((name, said.get(name, text)) for name, text in block.arguments)
        return replace(block, graph=graph, params=params, arguments=arguments)
