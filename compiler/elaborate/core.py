"""The state that all parts of the elaborator share, and what each asks of the others."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from compiler.ir.combinatorics.count_formula import Factor, Product, given
from compiler.ir.decision import Decision
from compiler.ir.graph import Block
from compiler.ir.payloads import Mix
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import MOST, Open, TooLarge, Var, lift, settle, spread
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .state import Copy, Fault, Frame, Silent, Text
from .values import Bundle, Compose, Copies, Function, Menu, Partial, Picked, Tensor, Value

DEPTH = 200
"""How deep texts, operations and menus may be nested in each other."""

ENDLESS = "definitions are nested in each other without an end"

STEPS = 2_000_000
"""How many expressions and elements elaboration reads before it gives up; published spaces need ten thousand."""


class Core(ABC):
    """Decisions, copies and the formula being written, with the methods that the other parts implement."""

    def __init__(self, forced: frozenset[str] | None = None, externals: Externals = NO_PLUGINS) -> None:
        self.forced = forced
        self.externals = externals
        self.decisions: dict[str, Decision] = {}
        self.copies: dict[str, Copy] = {}
        self.diagnostics: list[Diagnostic] = []
        self.refusals: list[Diagnostic] = []
        self.scopes: list[list[Factor]] = [[]]
        self.blocks: dict[object, tuple[Block, str]] = {}
        self.templates: dict[object, tuple[Block, Product, bool]] = {}
        self.titles: dict[tuple[int, int], str] = {}
        self.titled: set[str] = set()
        self.opened = 0
        self.depth = 0
        self.steps = 0

    @abstractmethod
    def eval(self, expr: ast.Expr, frame: Frame, spot: str | None = None) -> Value: ...

    @abstractmethod
    def apply(
        self,
        function: Value,
        inputs: Sequence[Value],
        positional: Sequence[Value],
        named: dict[str, Value],
        frame: Frame,
        spot: str | None,
        span: Span,
    ) -> Value: ...

    @abstractmethod
    def settled(self, value: Value, frame: Frame, path: str) -> Value: ...

    @abstractmethod
    def iterate(self, expr: ast.Call, frame: Frame) -> list[tuple[Frame, Callable[[], Value]]]: ...

    @abstractmethod
    def instantiate(
        self,
        function: Function,
        inputs: tuple[Tensor, ...],
        params: dict[str, Value],
        frame: Frame,
        spot: str,
        span: Span,
    ) -> Tensor: ...

    # ------------------------------------------------------------ what went wrong

    def report(self, diagnostic: Diagnostic) -> None:
        """Note an error once, however many instances and elements show it."""
        if not any(known.code is diagnostic.code and known.span == diagnostic.span for known in self.diagnostics):
            self.diagnostics.append(diagnostic)

    def refuse(self, span: Span, message: str, hint: str | None = "use `relax = sample`") -> None:
        """Note why the space cannot be relaxed by mixing; it can still be checked, counted and sampled."""
        diagnostic = Diagnostic(Code.UNMIXABLE, span, message, hint)
        if diagnostic not in self.refusals:
            self.refusals.append(diagnostic)

    def refuse_width(self, name: str, inputs: Sequence[Tensor], span: Span) -> None:
        """Note that a primitive needs to know how many channels it gets."""
        for tensor in inputs:
            if isinstance(tensor.shape.c, Var):
                self.refuse(span, f"cannot be mixed: `{name}` over an undecided width, {tensor.shape.c}")

    # ------------------------------------------------------------ the formula

    @contextmanager
    def scope(self) -> Iterator[list[Factor]]:
        """Collect the factors of a part by themselves."""
        here: list[Factor] = []
        self.scopes.append(here)
        try:
            yield here
        finally:
            self.scopes.pop()

    def factor(self, *factors: Factor) -> None:
        self.scopes[-1].extend(factors)

    def step(self, span: Span, steps: int = 1) -> None:
        """Refuse a network that would take for ever."""
        if self.steps > STEPS:
            raise Silent
        self.steps += steps
        if self.steps > STEPS:
            hint = "its sizes, or its choices inside choices, multiply"
            raise Fault(Code.LARGE, span, "this network is too large", hint)

    @contextmanager
    def deeper(self, span: Span) -> Iterator[None]:
        """Refuse recursion without an end before Python does."""
        self.depth += 1
        hint = "a recursion needs an end, such as the guard `if d > 0`"
        try:
            if self.depth > DEPTH:
                raise Fault(Code.DEPTH, span, ENDLESS, hint)
            yield
        except RecursionError:
            raise Fault(Code.DEPTH, span, ENDLESS, hint) from None
        finally:
            self.depth -= 1

    # ------------------------------------------------------------ undecided values

    def fork(
        self,
        values: Sequence[Value],
        build: Callable[[Sequence[Value]], Value],
        text: Text,
        spot: str,
        span: Span,
    ) -> Value:
        """Build something once per joint assignment of the undecided values; tensors are mixed."""
        decisions, sizes = spread(values)
        if not decisions:
            return build(values)
        cases: dict[tuple[int, ...], Product] = {}
        results: list[Value] = []
        for assignment in Var(decisions, sizes, ()).assignments():
            with self.scope() as factors:
                results.append(build([settle(value, decisions, assignment) for value in values]))
            cases[assignment] = tuple(factors)
        self.give(decisions, cases)
        if all(isinstance(result, Tensor) for result in results):
            return self.mix(decisions, dict(zip(cases, results, strict=True)), text, spot, span)
        return Var(decisions, sizes, tuple(results))

    def give(self, decisions: tuple[str, ...], cases: dict[tuple[int, ...], Product]) -> None:
        """Write down factors that depend on decisions, drawing out what all cases share."""
        self.factor(*given(decisions, cases))

    def mix(
        self, decisions: tuple[str, ...], cases: dict[tuple[int, ...], Tensor], text: Text, spot: str, span: Span
    ) -> Tensor:
        """The weighted sum of one tensor per assignment, in their order; equal tensors stand in it once."""
        rows: dict[Tensor, list[tuple[int, ...]]] = {}
        for assignment, tensor in cases.items():
            rows.setdefault(tensor, []).append(assignment)
        tensors = tuple(rows)
        if len(tensors) == 1:
            return tensors[0]
        sizes = tuple(1 + max(items) for items in zip(*cases, strict=True))
        shape = self.shape_of_one(decisions, sizes, tuple(cases.values()), span)
        payload = Mix(decisions, tuple(tuple(rows[tensor]) for tensor in tensors))
        return text.add(spot, payload, shape, tensors, span)

    def shape_of_one(
        self, decisions: tuple[str, ...], sizes: tuple[int, ...], tensors: Sequence[Tensor], span: Span
    ) -> Shape:
        """The shape of one of several tensors, one for each assignment: where they differ, it is undecided."""
        shapes = [tensor.shape for tensor in tensors]
        first, other = shapes[0], next((shape for shape in shapes if shape != shapes[0]), None)
        if other is None:
            return first
        path = " and ".join(decisions)
        here, there = ("x".join(map(str, shape.largest)) for shape in (first, other))
        here, there = (here, there) if here != there else (str(first), str(other))
        self.refuse(span, f"cannot be mixed: {here} here, {there} there ({path})")
        if any(len(shape.dims) != len(first.dims) for shape in shapes):
            return first
        which = Var(decisions, sizes, tuple(range(len(shapes))))
        # What is open follows from its readers, whichever it is.
        return Shape(
            tuple(
                dims[0] if any(isinstance(dim, Open) for dim in dims) else lift(lambda i, *each: each[i], which, *dims)
                for dims in zip(*(shape.dims for shape in shapes), strict=True)
            )
        )

    # ------------------------------------------------------------ small helpers

    def open(self) -> Open:
        """A width that nothing is known of yet."""
        self.opened += 1
        return Open()

    def title(self, function: Function) -> str:
        """The name of a definition in paths: its own, numbered when another definition of that name came first."""
        key = (id(function.definition), id(function.instance))
        if key not in self.titles:
            name, number = function.name, 2
            while name in self.titled:
                name, number = f"{function.name}_{number}", number + 1
            self.titles[key] = name
            self.titled.add(name)
        return self.titles[key]


def flatten(value: Value) -> list[Value]:
    """The elements of a bundle, nested ones included; anything else is a bundle of one."""
    if not isinstance(value, Bundle):
        return [value]
    found: list[Value] = []
    pending: list[Value] = [value]
    visited = 0
    while pending:
        item = pending.pop()
        visited += 1
        if visited > MOST:
            raise TooLarge(f"this bundle has more than {MOST} elements")
        if isinstance(item, Bundle):
            pending += reversed(item.items)
        else:
            found.append(item)
    return found


def plural(number: int, word: str, words: str | None = None) -> str:
    return f"{number or 'no'} {word if number == 1 else words or f'{word}s'}"


def is_tensors(value: Value) -> bool:
    """Whether a value feeds inputs: a tensor, a pick, or a bundle with any."""
    match value:
        case Tensor() | Picked():
            return True
        case Bundle(items):
            return any(is_tensors(item) for item in items)
        case Var(values=values):
            return any(is_tensors(item) for item in values)
    return False


def callable_name(function: Value) -> str:
    """What an application of this is called in paths and node names."""
    match function:
        case Function() | Menu():
            return function.definition.name
        case Copies(name=name):
            return name
        case Partial(function=inner):
            return callable_name(inner)
        case Compose(stages=stages):
            return callable_name(stages[-1])
        case Var(decisions=decisions):
            return re.sub(r"^.*\.", "", decisions[0])
    return "value"


def union_shape(shapes: Sequence[Shape], c: Extent) -> Shape:
    """The shape of the first, with other channels."""
    return Shape((c, *shapes[0].space))
