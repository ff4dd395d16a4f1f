"""The words of a picture: what a node does, what a decision is between, how large a tensor is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from compiler.elaborate import BodyElaboration
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Call, Node, Payload
from compiler.ir.numbers import BINARY, COMPARISONS, COMPUTE, tidy
from compiler.ir.payloads import Mix, Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Var
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .graph_reading import GraphReading

LOGICAL = (*COMPARISONS, "in")
"""Operators whose result is not a number."""

MOST = 4
"""How many choices a spot lists."""


class Words:
    """The words of one text. ``open`` are the decisions of its copy that no arrow shows yet.

    ``written`` are the numbers that calls are written with, by the place of the call: of an architecture, each may be
    one that was found.
    """

    def __init__(
        self,
        reading: GraphReading,
        decisions: Mapping[str, Decision],
        copy: str,
        own: Iterable[str],
        written: Mapping[Span, tuple[str, ...]],
    ) -> None:
        self.written = written
        self.reading = reading
        self.decisions = decisions
        self.copy = copy
        self.open = dict.fromkeys(own)

    def word(self, index: int) -> str:
        """The label of an arrow for the operation of a node; empty for one that only carries or adds."""
        node = self.reading.graph.node(index)
        payload, numbers = node.payload, self.written.get(node.span, ())
        if isinstance(payload, Mix):
            return ", ".join(self.menu(self.decisions[path], index) for path in payload.decisions)
        kernel = payload.op.kernel if isinstance(payload, Prim) else None
        name = _name(payload)
        if isinstance(kernel, int):
            name = f"{name} {kernel}x{kernel}"
            numbers = numbers[1:] if numbers and numbers[0] in (str(kernel), f"k = {kernel}") else numbers
        return f"{name}({', '.join(numbers)})" if name and numbers else name

    def called(self, name: str, node: Node) -> str:
        """The definition of an instance, with its number arguments."""
        numbers = self.written.get(node.span, ())
        return f"{name}({', '.join(numbers)})" if numbers else name

    def menu(self, decision: Decision, index: int) -> str:
        """A decision on an arrow: a menu and how many items it has; a number, of the one operation it is for."""
        self.open.pop(decision.path, None)
        if decision.numbers:
            names = {_name(self.reading.graph.node(source).payload) for source in self.reading.read(index)}
            choice = f"{decision.path.rpartition('.')[2]} = {_items(decision)}"
            return f"{names.pop()} {choice}".lstrip() if len(names) == 1 else choice
        text = decision.span.text
        return f"{text} ({len(decision.items)})" if text and "|" not in text else _items(decision)

    def items(self, decisions: tuple[str, ...], row: tuple[tuple[int, ...], ...]) -> str:
        """The items that a row of a mix stands for."""
        found: list[str] = []
        for position, path in enumerate(decisions):
            self.open.pop(path, None)
            items = dict.fromkeys(self.decisions[path].items[assignment[position]] for assignment in row)
            if len(items) < len(self.decisions[path].items):
                found.append(f"{self.slot(path)} = {' or '.join(items)}")
        return ", ".join(found)

    def slot(self, path: str) -> str:
        """A decision's path within its copy."""
        return path.removeprefix(f"{self.copy}.")


def written_numbers(text: BodyElaboration) -> dict[Span, tuple[str, ...]]:
    """The numbers that each call of a text is written with: literals, lines that are numbers, and what is made of them.

    A parameter by itself is none: nothing was found there, and each instance may have another.
    """
    lines = {name for name, _ in number_lines(text)}
    known = dict(_numbers(text))
    found: dict[Span, tuple[str, ...]] = {}
    for call in text.definition.walk():
        if isinstance(call, ast.Call):
            numbers = []
            for arg in call.args:
                names = {node.id for node in arg.value.walk() if isinstance(node, ast.Name)} - set(COMPUTE)
                number = _computed(arg.value, known) if not names or names & lines else None
                if number is not None:
                    numbers.append(f"{arg.name} = {number}" if arg.name else str(number))
            found[call.span] = tuple(numbers)
    return found


def _computed(value: ast.Expr, known: Mapping[str, int | float]) -> int | float | str | None:
    """The number that an expression is, a literal as it is written; None where it is none that is known."""

    def number(value: ast.Expr) -> Any:
        match value:
            case ast.Number():
                return value.value
            case ast.Name(id=name):
                return known[name]
            case ast.Unary(op="-", operand=operand):
                return -number(operand)
            case ast.Binary(op=op, left=left, right=right) if op in BINARY and op not in LOGICAL:
                return tidy(BINARY[op](number(left), number(right)))
            case ast.Call(func=ast.Name(id=name), args=args) if name in COMPUTE:
                return tidy(COMPUTE[name](*(number(arg.value) for arg in args)))
        raise KeyError

    if isinstance(value, ast.Number):
        return value.text
    try:
        found = number(value)
    except (KeyError, ArithmeticError, ValueError, TypeError):
        return None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def number_lines(text: BodyElaboration) -> Iterator[tuple[str, str]]:
    """The lines of a text that are numbers, by name; its parameters are none."""
    params = {param.name for param in text.definition.params}
    yield from ((name, str(value)) for name, value in _numbers(text) if name not in params)


def _numbers(text: BodyElaboration) -> Iterator[tuple[str, int | float]]:
    """Parameters and lines of a text that are numbers, by name."""
    for name, value in text.bound():
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield name, value


def _name(payload: Payload) -> str:
    """The operation of a node in words; empty where it only carries or adds, or packs outputs."""
    if isinstance(payload, Call):
        return payload.block.name
    if not isinstance(payload, Prim) or payload.op.gather is Gather.SUM or payload.op.packs:
        return ""
    return payload.name


def prefixes(slot: str) -> Iterator[str]:
    """``s1.x.k``, ``s1.x``, ``s1``."""
    while slot:
        yield slot
        slot = slot.rpartition(".")[0]


def note(decision: Decision, slot: str, by_itself: bool) -> str:
    """A decision that is not an arrow; ``slot`` is where, as far as the spot does not say it."""
    if decision.kind is DecisionKind.PICK:
        where = slot.rpartition(".")[0] if by_itself else ""
        taken = f"{decision.amount} of {len(decision.items)}"
        return f"{where}: {taken}" if where else taken
    return f"{slot} = {_items(decision)}" if slot else _items(decision)


def few(texts: Sequence[str]) -> tuple[str, ...]:
    """The texts, or the first of many."""
    return tuple(texts) if len(texts) <= MOST else (*texts[: MOST - 1], f"{len(texts) - MOST + 1} more choices")


def _items(decision: Decision) -> str:
    if decision.numbers and len(decision.items) > 4:
        return f"{decision.items[0]} .. {decision.items[-1]} ({len(decision.items)})"
    items = " | ".join(decision.items)
    return items if len(items) <= 32 else f"{decision.items[0]} | ... ({len(decision.items)})"


def shape_text(shape: Shape) -> str:
    """A shape in a picture; of an undecided extent the smallest and the largest."""
    return "×".join(_extent(dim) for dim in shape.dims)


def _extent(dim: Extent) -> str:
    if isinstance(dim, Var):
        return f"{min(dim.values)}..{max(dim.values)}"
    return str(dim)
