"""How many derivations of a grammar fit: a dynamic programme over menus, their parameters, and shapes of tensors.

Each production is elaborated once for each combination of shapes that come out of the menus in it, however many trees
make these shapes. The work so grows with the number of shapes, not with that of trees.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import TypeVar

from compiler.analysis.counting.errors import UncountableError
from compiler.elaborate.derivations import Derivation
from compiler.elaborate.productions import Key, MisfitError, Production, Productions, Shapes
from compiler.elaborate.values import Deferred
from compiler.ir.shape import Shape

MOST_RUNS = 20_000
"""How many times productions are elaborated for a count: some ten seconds."""

T = TypeVar("T")

Choose = Callable[[int], int]
"""Given a number of possibilities, the index of the one that is taken next."""


def replay(run: Callable[[Choose], T]) -> Iterator[T]:
    """The results of a function under every sequence of choices that it makes, the first choice varying slowest."""
    script: list[int] = []
    while True:
        sizes: list[int] = []

        def choose(size: int, sizes: list[int] = sizes) -> int:
            if len(sizes) == len(script):
                script.append(0)
            sizes.append(size)
            return script[len(sizes) - 1]

        yield run(choose)
        del script[len(sizes) :]
        while script and script[-1] + 1 == sizes[len(script) - 1]:
            script.pop()
        if not script:
            return
        script[-1] += 1


@dataclass(frozen=True)
class Hole:
    """A menu in a production, the tensors that it is applied to, and the shape that comes out."""

    node: int
    key: Key
    inputs: Shapes
    shape: Shape


@dataclass(frozen=True)
class Option:
    """A production with the shapes that come out of its menus: ``number`` trees, all of which give ``shape``."""

    production: Production
    holes: tuple[Hole, ...]
    shape: Shape
    number: int


class DerivationCounts:
    """The derivations of menus that fit tensors of given shapes, by the shape that comes out."""

    def __init__(self, productions: Productions, most: int = MOST_RUNS) -> None:
        self.productions, self.most, self.runs = productions, most, 0
        self._known: dict[tuple[Key, Shapes], Mapping[Shape, list[Option]]] = {}

    def options(self, key: Key, inputs: Shapes) -> Mapping[Shape, list[Option]]:
        """What a menu may become, applied to tensors of these shapes, by the shape that comes out.

        Raises:
            UncountableError: that takes too much work.
            ElaborationError: the grammar has an error.
        """
        if (key, inputs) not in self._known:
            found: dict[Shape, list[Option]] = {}
            for production in self.productions.of(key):
                for option in replay(partial(self._option, production, inputs)):
                    if option is not None:
                        found.setdefault(option.shape, []).append(option)
            self._known[key, inputs] = found
        return self._known[key, inputs]

    def number(self, key: Key, inputs: Shapes, shape: Shape) -> int:
        """How many derivations give a shape."""
        return sum(option.number for option in self.options(key, inputs).get(shape, ()))

    def _option(self, production: Production, inputs: Shapes, choose: Choose) -> Option | None:
        """A production under choices between the shapes that come out of its menus; None where it does not fit."""
        self.runs += 1
        if self.runs > self.most:
            message = f"the derivations of '{production.key.definition.name}' make too many shapes to be counted"
            raise UncountableError(production.expr.span, message)
        holes: dict[int, Hole] = {}

        def fill(hole: Deferred, shapes: Shapes) -> Shape:
            node, key = id(hole.node), Key.of(hole.menu)
            if node not in holes:
                outcomes = tuple(self.options(key, shapes))
                if not outcomes:
                    raise NothingFitsError
                holes[node] = Hole(node, key, shapes, outcomes[choose(len(outcomes))])
            if holes[node].inputs != shapes:
                message = f"'{key.definition.name}' is applied to tensors of different shapes, and not counted"
                raise UncountableError(hole.node.span, message)
            return holes[node].shape

        try:
            shape = self.productions.shape(production, inputs, fill)
        except (MisfitError, NothingFitsError):
            return None
        number = 1
        for hole in holes.values():
            number *= self.number(hole.key, hole.inputs, hole.shape)
        return Option(production, tuple(holes.values()), shape, number)

    def draw(self, key: Key, inputs: Shapes, shape: Shape, source: Random) -> Derivation:
        """A derivation that gives a shape, drawn uniformly among all that do."""
        options = self.options(key, inputs)[shape]
        rank = source.randrange(sum(option.number for option in options))
        for option in options:
            if rank < option.number:
                break
            rank -= option.number
        parts = {hole.node: self.draw(hole.key, hole.inputs, hole.shape, source) for hole in option.holes}
        return Derivation(option.production, parts, inputs, shape)


class NothingFitsError(Exception):
    """A menu has no derivation that fits the tensors that it is applied to."""
