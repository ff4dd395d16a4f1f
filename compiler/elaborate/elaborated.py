"""The result of an elaboration: a network with its choices, and what is required of it."""

from __future__ import annotations

from dataclasses import dataclass

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.graph import Block, Decision, Shape
from compiler.ir.quantities import Preference
from hdas_dsl.text.diagnostics import Diagnostic
from hdas_dsl.tree import ast

from .body_elaboration import Copy
from .frame import Frame
from .values import Value


@dataclass(frozen=True, eq=False)
class Requirement:
    """A `require` statement: the condition as written, and the frame that gives its names a meaning.

    ``network`` is what it is about where that is not the space itself: the same space at other arguments, as which the
    architecture will be trained.
    """

    condition: ast.Expr
    frame: Frame
    network: Elaborated | None = None


@dataclass(frozen=True, eq=False)
class Elaborated:
    """A network with its choices: the graph, the decisions in order of first mention, the copies that own them.

    ``refusals`` say why it cannot be relaxed by mixing, if it cannot. ``formula`` counts its architectures.
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

    @property
    def root(self) -> Copy:
        """The network's own copy."""
        return next(copy for copy in self.copies.values() if copy.body.root)

    @property
    def input(self) -> Shape:
        """The shape of the first input, without the batch."""
        return self.block.graph.node(self.block.graph.inputs[0]).shape

    @property
    def is_space(self) -> bool:
        """Whether there is anything to decide."""
        return bool(self.decisions)

    @property
    def live(self) -> frozenset[str]:
        """The paths of the copies that are relaxed: those with a choice of their own."""
        return frozenset(path for path, copy in self.copies.items() if copy.live)

    @property
    def alphas(self) -> int:
        """The number of architecture parameters."""
        return sum(decision.alphas for decision in self.decisions.values())
