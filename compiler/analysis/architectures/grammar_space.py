"""The architectures of a network with grammars: each is elaborated along the draw that made it.

By weights, menus are decided one after the other, where they meet their tensors; what does not fit is drawn again
there, as in the program of einspace (Ericsson et al., NeurIPS 2024). Uniform draws and the number need the counts of
`grammar_counts`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import prod
from random import Random

from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.productions import (
    MISFITS,
    Derivation,
    Key,
    MisfitError,
    Production,
    Productions,
    Shapes,
    derive,
    without_fit,
)
from compiler.elaborate.session import Derive
from compiler.elaborate.values import Deferred, Function
from compiler.ir.shape import Shape
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast

from .grammar_counts import Choose, DerivationCounts, replay

Outcome = tuple[tuple[Key, Shapes, Shape], ...]
"""The shape that comes out of each grammar of a network, in the order of their mentions."""


class GrammarSpace:
    """The architectures of a network with grammars and no other choice.

    Raises:
        UsageError: the network has other choices.
    """

    def __init__(self, network: Elaborated) -> None:
        if network.decisions:
            other = next(iter(network.decisions))
            message = f"'{network.name}' has a grammar and, at {other}, another choice"
            raise UsageError(f"{message}: make it a menu of the grammar")
        self.network = network
        self.productions = Productions(network.externals)

    def along(self, chosen: Derive) -> Elaborated | None:
        """The network with what ``chosen`` says in the place of its grammars; None where the rest does not fit that.

        Raises:
            HspError: it has an error of another kind.
        """
        root = self.network.root
        label = root.path if root.path != root.definition.name else None
        function = Function(root.definition, root.instance, label)
        found, wrong = elaborate(function, self.network.given, externals=self.network.externals, derive=chosen)
        if found is None and not any(item.code in MISFITS for item in wrong):
            raise HspError(wrong)
        return found

    def weighted(self, source: Random) -> Elaborated | None:
        """An architecture by the weights of items; None where the network does not fit what was derived."""

        def order(left: Sequence[Production]) -> Production:
            return source.choices(left, [production.weight for production in left])[0]

        def chosen(path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
            try:
                return derive(self.productions, Key.of(deferred.menu), inputs, order).text(self.productions)
            except MisfitError as missed:
                raise without_fit(deferred, inputs, missed) from None

        return self.along(chosen)

    # ------------------------------------------------------------ counts

    @cached_property
    def counts(self) -> DerivationCounts:
        """The derivations of each menu."""
        return DerivationCounts(self.productions)

    @cached_property
    def outcomes(self) -> dict[Outcome, int]:
        """How many architectures there are for each combination of shapes that come out of the grammars.

        Raises:
            UncountableError: the grammars make too many shapes.
        """
        found = {}
        for outcome in replay(self._outcome):
            if outcome is not None:
                found[outcome] = prod(self.counts.number(*each) for each in outcome)
        return found

    @property
    def number(self) -> int:
        """How many architectures there are; raises UncountableError as `outcomes`."""
        return sum(self.outcomes.values())

    def _outcome(self, choose: Choose) -> Outcome | None:
        """The shapes that come out of the grammars under choices between them; None where the network does not fit."""
        taken: list[tuple[Key, Shapes, Shape]] = []

        def chosen(path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
            key = Key.of(deferred.menu)
            shapes = tuple(self.counts.options(key, inputs))
            if not shapes:
                raise without_fit(deferred, inputs, None)
            taken.append((key, inputs, shapes[choose(len(shapes))]))
            return self.counts.draw(*taken[-1], Random(0)).text(self.productions)

        return None if self.along(chosen) is None else tuple(taken)

    def uniform(self, source: Random) -> Elaborated:
        """An architecture, drawn uniformly among all; raises UncountableError as `outcomes`, IndexError without any."""
        (outcome,) = source.choices(list(self.outcomes), list(self.outcomes.values()))
        drawn: list[Derivation] = [self.counts.draw(*each, source) for each in outcome]
        texts = iter(derivation.text(self.productions) for derivation in drawn)
        found = self.along(lambda path, deferred, inputs: next(texts))
        assert found is not None, "the network fits these shapes"
        return found
