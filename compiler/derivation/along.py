"""A space with grammars, elaborated along the derivations of a selection."""

from __future__ import annotations

from collections.abc import Sequence

from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.derivations import Order, derive, without_fit
from compiler.elaborate.productions import Key, MisfitError, Productions, Shapes
from compiler.elaborate.session import Derive
from compiler.elaborate.values import Deferred, Function
from compiler.ir.decision import Selection
from hdas_dsl.text.diagnostics import Diagnostic, HspError
from hdas_dsl.tree import ast


def elaborate_again(space: Elaborated, derivations: Derive) -> tuple[Elaborated | None, list[Diagnostic]]:
    """A network with grammars, elaborated with other derivations; None after an error, and all errors."""
    root = space.root
    label = root.path if root.path != root.definition.name else None
    function = Function(root.definition, root.instance, label)
    return elaborate(function, space.given, externals=space.externals, derive=derivations)


def scripted(productions: Productions, indices: Sequence[int]) -> Order:
    """The order of productions that derives the tree with these `Derivation.indices`."""
    left = iter(indices)
    return lambda tried: productions.of(tried[0].key)[next(left)]


def along(space: Elaborated, chosen: Selection) -> Elaborated:
    """The network along a selection, which holds for each grammar the indices of its productions in their menus.

    Raises:
        HspError: the indices do not derive a tree of this network.
    """
    productions = Productions(space.externals)

    def text(path: str, deferred: Deferred, inputs: Shapes) -> ast.Expr:
        order = scripted(productions, chosen[path])
        try:
            return derive(productions, Key.of(deferred.menu), inputs, order).text(productions)
        except MisfitError as missed:
            raise without_fit(deferred, inputs, missed) from None

    found, wrong = elaborate_again(space, text)
    if found is None:
        raise HspError(wrong)
    return found
