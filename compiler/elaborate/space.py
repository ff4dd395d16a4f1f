"""The result of elaboration: a space with its decisions and the statements of its bodies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice
from typing import TypeVar, cast

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.decision import Decision
from compiler.ir.graph import Block, SpaceGraph
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.quantities import Condition, Preference
from compiler.ir.shape import Shape
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import NOWHERE, Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

from .body_elaboration import BodyElaboration, Copy
from .errors import ElaborationError
from .quantities import read_condition
from .session import GrammarPlace
from .values import Bundle, Value

Answer = TypeVar("Answer")


class Origin(Enum):
    """Where a requirement is written."""

    BODY = "body"
    OPERATION = "operation"
    SEARCH = "search"
    TRAIN = "train"


@dataclass(frozen=True)
class Requirement:
    """A `require` statement.

    Args:
        condition: what it asks of an architecture.
        copy: the path of the copy in whose body it stands; that of the network for one of a section.
        text: the condition in the language, on one line.
        span: the condition in its file.
        origin: the kind of body that it stands in.
        network: what it is about where that is not the space itself: the same space at other arguments, as which the
            architecture will be trained.
    """

    condition: Condition
    copy: str
    text: str = ""
    span: Span = field(default=NOWHERE, compare=False)
    origin: Origin = Origin.BODY
    network: Elaborated | None = None

    @classmethod
    def read(
        cls, line: ast.Require, body: BodyElaboration, origin: Origin = Origin.BODY, network: Elaborated | None = None
    ) -> Requirement:
        """The statement of a line that stands in a body.

        Raises:
            ElaborationError: the condition has no meaning.
        """
        condition = read_condition(line.condition, body)
        written = print_expression(line.condition)
        return cls(condition, body.copy, written, line.condition.span, origin, network)

    def __str__(self) -> str:
        return self.text


MOST_REQUIREMENTS = 200
"""How many there are of a space: each is asked of every architecture that is drawn."""


def check_number(requirements: Collection[Requirement]) -> None:
    """Refuse more requirements than are asked of an architecture.

    Raises:
        ElaborationError: they are more than `MOST_REQUIREMENTS`.
    """
    if len(requirements) > MOST_REQUIREMENTS:
        span = next(islice(requirements, MOST_REQUIREMENTS, None)).span
        raise ElaborationError(Code.LARGE, span, f"a network has at most {MOST_REQUIREMENTS} requirements")


@dataclass(frozen=True, eq=False)
class Elaborated:
    """A network with its choices: the graph, the decisions in order of first mention, the copies that own them.

    ``refusals`` say why it cannot be relaxed by mixing, if it cannot. ``formula`` counts its architectures.
    ``externals`` are the external operations that it may name, also where it is elaborated again. ``grammars`` say what
    stands for each mention of a grammar along this elaboration; neither ``formula`` nor ``decisions`` know of them.
    ``applied`` says of each graph in which one is applied how many nodes were there before (`settled.py`).
    """

    name: str
    block: Block
    decisions: dict[str, Decision]
    copies: dict[str, Copy]
    formula: Product
    preferences: tuple[Preference, ...]
    requirements: tuple[Requirement, ...]
    refusals: tuple[Diagnostic, ...]
    arguments: dict[str, Value]
    externals: Externals = NO_PLUGINS
    grammars: tuple[GrammarPlace, ...] = ()
    applied: Mapping[SpaceGraph, int] = field(default_factory=dict)
    _answers: dict[Callable[[Elaborated], object], object] = field(default_factory=dict, init=False, repr=False)

    def once(self, question: Callable[[Elaborated], Answer]) -> Answer:
        """The answer to a question about this space, a pure function of it, computed when it is first asked."""
        if question not in self._answers:
            self._answers[question] = question(self)
        return cast("Answer", self._answers[question])

    @property
    def root(self) -> Copy:
        """The network's own copy."""
        return next(copy for copy in self.copies.values() if copy.body.root)

    @property
    def given(self) -> dict[str, Value]:
        """The arguments that elaborate it again: the shapes of its inputs and the values of its parameters."""
        inputs = zip(self.root.definition.inputs, self.block.graph.inputs, strict=True)
        shapes = {param.name: Bundle(self.block.graph.node(index).shape.dims) for param, index in inputs}
        return {**shapes, **self.arguments}

    @property
    def input(self) -> Shape:
        """The shape of its first input."""
        return self.block.graph.node(self.block.graph.inputs[0]).shape

    @property
    def is_space(self) -> bool:
        """Whether anything is left to choose."""
        return bool(self.decisions or self.grammars)

    @property
    def live(self) -> frozenset[str]:
        """The paths of the copies that are relaxed: those with a choice of their own."""
        return frozenset(path for path, copy in self.copies.items() if copy.live)

    @property
    def alphas(self) -> int:
        """The number of architecture parameters."""
        return sum(decision.alphas for decision in self.decisions.values())
