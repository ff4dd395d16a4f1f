"""The items of a grammar, each tried on tensors that it meets: what is wrong with one, and which fit none.

A menu of a grammar is decided along a draw, and an item that does not fit is not there. One whose text is wrong, a
name misspelt in its arguments, would so be absent without a word. Menus are walked by width, with a few of the shapes
that come out of each, so that a grammar of any size takes the same time. Of one that is too large to be walked whole
only what fails alike on tensors of every kind is said to fit none.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial

from compiler.elaborate import Elaborated
from compiler.elaborate.derivations import Derivation, derive, first
from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.productions import Key, MisfitError, Production, Productions, Shapes
from compiler.elaborate.values import Deferred
from compiler.ir.shape import Shape
from compiler.program.model import Program
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError, Severity, has_errors

from .grammar_counts import Choose, NothingFitsError, replay
from .grammar_space import GrammarSpace

MOST_TRIES = 2_000
"""How many times items are elaborated: some half a second."""
MOST_SHAPES = 3
"""So many of the shapes that come out of a menu are tried on what takes them."""

PLAIN = (Shape((64, 64, 64)), Shape((64, 64)), Shape((64,)))
"""An image, tokens and a vector that can be divided and reordered in most ways."""

Place = tuple[Key, Shapes]
"""A menu, and the tensors that it is applied to."""


@dataclass
class Tried:
    """The trials of an item of a menu: how many tensors it takes, how often it was tried, and why it did not fit."""

    production: Production
    arity: int
    times: int = 0
    fits: bool = False
    missed: dict[str, Diagnostic] = field(default_factory=dict)


class Walk:
    """The menus of a grammar from where they are applied first, by width."""

    def __init__(self, productions: Productions, most: int = MOST_TRIES) -> None:
        self.productions, self.most = productions, most
        self.items: dict[int, Tried] = {}
        self.errors: dict[Diagnostic, None] = {}
        self._shapes: dict[Place, list[Shape]] = {}
        self._users: dict[Place, dict[Place, None]] = {}
        self._next: deque[Place] = deque()

    def start(self, key: Key, inputs: Shapes) -> None:
        """Walk from a menu applied to tensors of these shapes."""
        self._reach((key, inputs))
        while self._next and self.most > 0:
            self._visit(self._next.popleft())

    def _reach(self, place: Place) -> list[Shape]:
        """The shapes that are known to come out of a menu."""
        if place not in self._shapes:
            self._shapes[place] = []
            self._users[place] = {}
            self._next.append(place)
        return self._shapes[place]

    def _visit(self, place: Place) -> None:
        """Try all items of a menu; what takes a shape that comes out for the first time is tried again."""
        key, known = place[0], self._shapes[place]
        try:
            productions = self.productions.of(key)
        except ElaborationError as error:
            self.errors[error.diagnostic] = None
            return
        for production in productions:
            for shape in replay(partial(self._tried, production, place)):
                if shape is None or shape in known or len(known) == MOST_SHAPES:
                    continue
                known.append(shape)
                self._next.extend(user for user in self._users[place] if user not in self._next)

    def _tried(self, production: Production, place: Place, choose: Choose) -> Shape | None:
        """The output shape of an item, given one output shape of each menu in it; None where it has none."""
        if self.most <= 0:
            return None
        self.most -= 1
        taken: dict[tuple[int, Shapes], Shape] = {}

        def fill(hole: Deferred, shapes: Shapes) -> Shape:
            inner, at = (Key.of(hole.menu), shapes), (id(hole.node), shapes)
            known = self._reach(inner)
            self._users[inner][place] = None
            if not known:
                raise NothingFitsError
            if at not in taken:
                taken[at] = known[choose(len(known))]
            return taken[at]

        item = self.items.setdefault(id(production.expr), Tried(production, len(place[1])))
        try:
            shape = self.productions.shape(production, place[1], fill)
        except NothingFitsError:
            return None
        except MisfitError as missed:
            item.missed.setdefault(missed.diagnostic.message, missed.diagnostic)
            shape = None
        except ElaborationError as error:
            self.errors[error.diagnostic] = None
            return None
        item.times += 1
        item.fits = item.fits or shape is not None
        return shape

    def diagnostics(self) -> Iterator[Diagnostic]:
        """The errors, and a warning for each item that seems to fit nothing."""
        yield from self.errors
        for item in self.items.values():
            if item.fits or not item.missed or (self.most <= 0 and not self._fails_alike(item)):
                continue
            name, expr = item.production.key.definition.name, item.production.expr
            (_, missed), *_ = item.missed.items()
            tensors = "the tensor" if item.times == 1 else f"any of the {item.times} tensors"
            message = f"this item of '{name}' does not fit {tensors} that it was tried on: {missed.message}"
            hint = missed.hint or "an item that does not fit is never drawn"
            yield Diagnostic(Code.UNFIT, expr.span, message, hint, severity=Severity.WARNING)

    def _fails_alike(self, item: Tried) -> bool:
        """Whether an item is refused for one reason, also with plain tensors, which the menus in it give back."""
        for shape in PLAIN:
            try:
                self.productions.shape(item.production, (shape,) * item.arity, lambda _, inputs: inputs[0])
            except MisfitError as missed:
                item.missed.setdefault(missed.diagnostic.message, missed.diagnostic)
            except ElaborationError:
                return False
            else:
                return False
        return len(item.missed) == 1


def reviewed(program: Program) -> Program:
    """A program with what its grammars give reason to warn of.

    Raises:
        HspError: an item of a grammar is wrong.
    """
    found = of_program(program)
    if has_errors(found):
        raise HspError(found)
    return replace(program, warnings=(*program.warnings, *found)) if found else program


def of_program(program: Program, most: int = MOST_TRIES) -> tuple[Diagnostic, ...]:
    """The errors in items of a program's grammars, and warnings about items that seem to fit nothing."""
    return tuple(item for network in program.networks for item in of_items(network, most))


def of_items(network: Elaborated, most: int = MOST_TRIES) -> list[Diagnostic]:
    """The errors in items of a network's grammars, and warnings about items that seem to fit nothing."""
    if not network.grammars or network.decisions:
        return []
    walk = Walk(Productions(network.externals), most)

    def made(_: str, key: Key, inputs: Shapes) -> Derivation:
        walk.start(key, inputs)
        return derive(walk.productions, key, inputs, first)

    GrammarSpace(network).derived(made)
    return list(walk.diagnostics())
