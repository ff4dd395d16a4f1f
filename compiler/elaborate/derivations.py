"""Derivations of menus: trees of productions that fit the tensors that they meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.ir.primitives.external import Externals
from compiler.ir.shape import Shape
from hdas_dsl.names import bare_name
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Replacement

from .errors import ElaborationError
from .productions import Key, MisfitError, Production, Productions, Shapes
from .values import Deferred


@dataclass(frozen=True, eq=False)
class Taken:
    """A tree of productions: the one taken for a menu, and a tree for each menu in it.

    ``parts`` go by the identity of the mention.
    """

    production: Production
    parts: Mapping[int, Taken]


@dataclass(frozen=True, eq=False)
class Derivation(Taken):
    """A tree of productions that fits.

    ``shape`` comes out of it, applied to tensors of the shapes ``inputs``.
    """

    inputs: Shapes
    shape: Shape
    parts: Mapping[int, Derivation]

    def indices(self, productions: Productions) -> tuple[int, ...]:
        """The place of each production in its menu, of the tree from the top, menu by menu as they meet tensors."""
        below = (index for part in self.parts.values() for index in part.indices(productions))
        return (productions.of(self.production.key).index(self.production), *below)

    def nodes(self) -> Iterator[Derivation]:
        """This tree and those in it."""
        yield self
        for part in self.parts.values():
            yield from part.nodes()

    def without(self, cut: Derivation) -> Derivation:
        """The tree without one that is in it."""
        parts = {at: part.without(cut) for at, part in self.parts.items() if part is not cut}
        return replace(self, parts=parts)

    def grafted(self, cut: Derivation, scion: Derivation) -> Derivation:
        """The tree with another in the place of one that is in it; its shapes are those of before."""
        if self is cut:
            return scion
        return replace(self, parts={at: part.grafted(cut, scion) for at, part in self.parts.items()})

    def text(self, productions: Productions) -> ast.Expr:
        """The expression that it stands for, in the names of the file of its menu.

        Raises:
            ElaborationError: a menu of another file mentions what that file cannot name.
        """
        key = self.production.key
        parts = {at: as_named_in(key, part.text(productions), part.production.key) for at, part in self.parts.items()}
        return productions.written(self.production, parts)


def as_named_in(key: Key, expr: ast.Expr, inner: Key) -> ast.Expr:
    """What a menu inside another derived, in the names of the file of the other.

    Raises:
        ElaborationError: it has none for something in it.
    """
    own = key.instance
    if own is inner.instance:
        return expr

    def named(node: ast.Node) -> ast.Node:
        found = inner.instance.meant(node)
        if not isinstance(found, Entity | Replacement):
            return node.mapped(named)
        text = bare_name(node)
        name = own.named(text, found.instance if isinstance(found, Entity) else inner.instance)
        if name is None:
            message = (
                f"'{inner.definition.name}' derives this, which has no name in the file of '{key.definition.name}'"
            )
            hint = f"define both menus in one file, or `use` there what '{text}' means, as ..."
            raise ElaborationError(Code.UNKNOWN_NAME, node.span, message, hint)
        return name

    made = named(expr)
    assert isinstance(made, ast.Expr)
    return made


Order = Callable[[Sequence[Production]], Production]
"""Given the productions that may be tried, the one that is tried next."""


def derive(productions: Productions, key: Key, inputs: Shapes, order: Order, like: Taken | None = None) -> Derivation:
    """A derivation of a menu that fits tensors of some shapes.

    Where the production that is tried turns out not to fit, it is tried no more and another one is, menu by menu. What
    it is ``like`` is tried first, here and in the menus of the same production.

    Raises:
        MisfitError: none fits.
        ElaborationError: the grammar has an error.
    """
    left = list(productions.of(key))
    missed: MisfitError | None = None
    while left:
        again = like if like is not None and like.production in left else None
        production = order(left) if again is None else again.production
        before = again.parts if again is not None else {}
        parts: dict[int, Derivation] = {}

        def fill(
            hole: Deferred,
            shapes: Shapes,
            parts: dict[int, Derivation] = parts,
            before: Mapping[int, Taken] = before,
        ) -> Shape:
            at = id(hole.node)
            if at not in parts:
                parts[at] = derive(productions, Key.of(hole.menu), shapes, order, before.get(at))
            return shape_at(productions, parts[at], shapes)

        try:
            shape = productions.shape(production, inputs, fill)
        except MisfitError as error:
            missed = missed or error
            left.remove(production)
            continue
        return Derivation(production, parts, inputs, shape)
    if missed is None:
        raise ElaborationError(Code.FEW, key.definition.span, f"no item of '{key.definition.name}' is present here")
    raise missed


def shape_at(productions: Productions, derivation: Derivation, inputs: Shapes) -> Shape:
    """The shape that comes out of a derivation at other shapes than its own.

    Raises:
        MisfitError: it does not fit them.
    """
    if inputs == derivation.inputs:
        return derivation.shape

    def fill(hole: Deferred, shapes: Shapes) -> Shape:
        return shape_at(productions, derivation.parts[id(hole.node)], shapes)

    return productions.shape(derivation.production, inputs, fill)


def first(left: Sequence[Production]) -> Production:
    """Source order."""
    return left[0]


@dataclass(frozen=True, eq=False)
class FirstDerivation:
    """The first derivation of each grammar, in source order, that fits: as `derivation.strongest.default_decisions`."""

    externals: Externals

    def __call__(self, path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
        """The expression that stands for a grammar.

        Raises:
            ElaborationError: nothing fits.
        """
        productions = Productions(self.externals)
        try:
            return derive(productions, Key.of(deferred.menu), inputs, first).text(productions)
        except MisfitError as error:
            raise without_fit(deferred, inputs, error) from None


def without_fit(deferred: Deferred, inputs: Shapes, missed: MisfitError | None) -> ElaborationError:
    """The error of a grammar that derives nothing for tensors of some shapes, with a reason where one is known."""
    given = " and ".join(map(str, inputs))
    message = f"'{deferred.menu.definition.name}' derives nothing for {given}" + (f": {missed}" if missed else "")
    return ElaborationError(Code.SHAPE, deferred.node.span, message)
