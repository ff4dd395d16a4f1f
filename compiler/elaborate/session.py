"""The state of one elaboration, shared by all parts of the interpreter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.combinatorics.count_formula import Factor, Product, given
from compiler.ir.decision import Decision
from compiler.ir.graph import SpaceGraph
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var
from hdas_dsl.names import hidden_names
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.limits import MAX_ERRORS
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Unit

from .body_elaboration import Copy
from .building import AS_WRITTEN, Building
from .errors import AlreadyReportedError, ElaborationError
from .trace import NodeIndex, NodeIndexes
from .values import Deferred, Function, Menu, Tensor

DEPTH = 200
"""How deep bodies, operations and menus may be nested in each other."""

STEPS = 300_000
"""How many steps elaboration takes before it gives up: a few seconds of work. Published spaces take up to 30,000."""

STEPS_OF_APPLICATION = 4
"""Steps of the budget for an operation or menu besides its expressions; an expression or element takes one."""

STEPS_OF_COPY = 20
"""Steps of the budget for a cell, stage or network that is not like one before."""


class Budget:
    """Bounds the work: how much is read, and how deep definitions are nested."""

    def __init__(self) -> None:
        self.steps = 0
        self.depth = 0
        self.endless = False

    def step(self, span: Span, steps: int = 1) -> None:
        """Count expressions or elements that are read.

        Raises:
            ElaborationError: they become more than `STEPS`, for the first time.
            AlreadyReportedError: they were more before, or definitions were nested too deeply.
        """
        if self.steps > STEPS or self.endless:
            raise AlreadyReportedError
        self.steps += steps
        if self.steps > STEPS:
            hint = "its sizes, or its choices inside choices, multiply"
            raise ElaborationError(Code.LARGE, span, "this network is too large", hint)

    def nested(self, span: Span) -> _Nested:
        """Go one definition deeper, and refuse a recursion without an end before Python does.

        Raises:
            ElaborationError: definitions are nested deeper than `DEPTH`.
        """
        return _Nested(self, span)


# Plain classes: both are entered for every application, where those of `contextlib` would take a twentieth of the time.
class _Nested:
    """The context of a definition inside another."""

    __slots__ = ("budget", "span")

    def __init__(self, budget: Budget, span: Span) -> None:
        self.budget = budget
        self.span = span

    def __enter__(self) -> None:
        self.budget.step(self.span, STEPS_OF_APPLICATION)
        if self.budget.depth >= DEPTH:
            self.budget.endless = True
            raise _endless(self.span)
        self.budget.depth += 1

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.budget.depth -= 1
        if self.budget.depth <= 1:  # the next line of the network may have an error of its own
            self.budget.endless = False
        if kind is RecursionError:
            self.budget.endless = self.budget.depth > 1
            raise _endless(self.span) from None


def _endless(span: Span) -> ElaborationError:
    hint = "a recursion needs an end, such as the guard `if d > 0`"
    return ElaborationError(Code.DEPTH, span, "definitions are nested in each other without an end", hint)


class _Part:
    """The context of a part of the formula."""

    __slots__ = ("parts",)

    def __init__(self, parts: list[list[Factor]]) -> None:
        self.parts = parts

    def __enter__(self) -> list[Factor]:
        here: list[Factor] = []
        self.parts.append(here)
        return here

    def __exit__(self, *_: object) -> None:
        self.parts.pop()


class FormulaWriter:
    """Writes the formula that counts the architectures (`compiler.ir.combinatorics.count_formula`)."""

    def __init__(self) -> None:
        self._parts: list[list[Factor]] = [[]]

    @property
    def factors(self) -> Product:
        """The factors of the innermost open part."""
        return tuple(self._parts[-1])

    def restart(self) -> None:
        """Forget all factors."""
        self._parts = [[]]

    def part(self) -> _Part:
        """Collect the factors of a part by themselves: those that are added while the context lasts."""
        return _Part(self._parts)

    def add_factors(self, *factors: Factor) -> None:
        """Add factors to the innermost open part."""
        self._parts[-1].extend(factors)

    def add_cases(self, decisions: tuple[str, ...], cases: Mapping[tuple[int, ...], Product]) -> None:
        """Add factors that depend on decisions, drawing out what all cases share."""
        self.add_factors(*given(decisions, cases))


@dataclass(frozen=True)
class GrammarPlace:
    """A mention of a grammar in a network, and the expression that stands for it along this elaboration.

    ``path`` is that of a decision, ``inputs`` are the shapes of the tensors that it was first applied to.
    """

    path: str
    menu: Menu
    node: ast.Node
    inputs: tuple[Shape, ...]
    expr: ast.Expr


Derive = Callable[[str, Deferred, "tuple[Shape, ...]"], ast.Expr]
"""What stands for a grammar: of its path, the menu, and the shapes of the tensors that it is applied to."""


class Session:
    """Decisions, copies and errors of one elaboration, with the formula and the budget.

    Attributes:
        relaxed_copies: the paths of the copies to elaborate in their relaxed variant; None for those with a choice.
        externals: the primitives and plugins that external operations may name.
        building: how a search builds the space.
        derive: what stands for grammars; None where none may stand. ``grammars``: what stood for them, by path;
            ``applied``: of each graph in which one is applied, how many nodes were there before.
        holes: what comes out of menus that are not decided; None where menus are decisions.
        decisions, copies: by path, in order of first mention.
        diagnostics: errors; ``refusals``: why the space cannot be relaxed by mixing.
        open_widths: how many widths were left open.
    """

    def __init__(
        self,
        relaxed_copies: frozenset[str] | None = None,
        externals: Externals = NO_PLUGINS,
        building: Building = AS_WRITTEN,
        derive: Derive | None = None,
        holes: Callable[[Deferred, tuple[Shape, ...]], Shape] | None = None,
    ) -> None:
        self.derive = derive
        self.grammars: dict[str, GrammarPlace] = {}
        self.applied: dict[SpaceGraph, int] = {}
        self.holes = holes
        self.building = building
        self.relaxed_copies = relaxed_copies
        self.externals = externals
        self.decisions: dict[str, Decision] = {}
        self.copies: dict[str, Copy] = {}
        self.diagnostics: list[Diagnostic] = []
        self.refusals: list[Diagnostic] = []
        self.formula = FormulaWriter()
        self.budget = Budget()
        self.open_widths = 0
        self.indexes = NodeIndexes()
        self._hidden: frozenset[str] = frozenset()
        self._others: list[Unit] = []
        self._titles: dict[tuple[NodeIndex, object], str] = {}

    def begin(self, network: Function) -> None:
        """Elaborate a network: names of its file are names of paths before those of others."""
        own, *self._others = network.instance.unit.all_used()
        self._hidden = hidden_names([own, *self._others])

    def report(self, diagnostic: Diagnostic) -> None:
        """Note an error once, however many instances and elements show it.

        Raises:
            AlreadyReportedError: there are `MAX_ERRORS` already; more are not looked for.
        """
        if len(self.diagnostics) >= MAX_ERRORS:
            raise AlreadyReportedError
        if not any(known.code is diagnostic.code and known.span == diagnostic.span for known in self.diagnostics):
            self.diagnostics.append(diagnostic)

    def refuse(self, span: Span, message: str, hint: str | None = "use `relax = sample`") -> None:
        """Note why the space cannot be relaxed by mixing; it can still be checked, counted and sampled."""
        diagnostic = Diagnostic(Code.UNMIXABLE, span, message, hint)
        if len(self.refusals) < MAX_ERRORS and diagnostic not in self.refusals:
            self.refusals.append(diagnostic)

    def refuse_width(self, name: str, inputs: Sequence[Tensor], span: Span) -> None:
        """Note that a primitive needs to know how many channels it gets, where they are undecided."""
        for tensor in inputs:
            if isinstance(tensor.shape.c, Var):
                self.refuse(span, f"cannot be mixed: `{name}` over an undecided width, {tensor.shape.c}")

    def open(self) -> Open:
        """A width that nothing is known of yet."""
        self.open_widths += 1
        return Open()

    def index(self, function: Function) -> NodeIndex:
        """The nodes of a function's definition."""
        return self.indexes.of(function.definition)

    def title(self, function: Function) -> str:
        """The name of a definition in paths, numbered where another of that name came first, or a line is called so."""
        key = self.index(function), function.instance
        if key not in self._titles:
            taken = set(self._titles.values())
            if function.instance.unit in self._others:
                taken |= self._hidden
            name, number = function.name, 2
            while name in taken:
                name, number = f"{function.name}_{number}", number + 1
            self._titles[key] = name
        return self._titles[key]
