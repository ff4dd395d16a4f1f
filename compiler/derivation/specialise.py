"""An architecture of a space as a network of its own: derived, and elaborated again."""

from __future__ import annotations

from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.ir.decision import Selection
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

from . import derive_module


def derived(space: Elaborated, chosen: Selection, at: Elaborated | None = None) -> Elaborated:
    """The network that decisions select.

    Args:
        space: what is chosen in.
        chosen: the items of every decision.
        at: the same network at the arguments that the result is to have; by default those of the space.

    Raises:
        HspError: there is none.
    """
    unit = space.root.instance.unit
    text = print_module(derive_module(space, chosen))
    instance = Loader().load_text(text, "derived.hsp", unit.root)
    assert instance is not None, "a derived module parses (law 2)"
    definition = next(d for d in instance.unit.module.definitions if d.name == space.name)
    assert isinstance(definition, ast.GraphDef)
    # An operation among the arguments names definitions of the space, which still choose: the derived text has its own.
    inputs = {param.name for param in definition.inputs}
    given = {} if at is None else at.given
    args = {name: value for name, value in given.items() if name in inputs or isinstance(value, int | float)}
    found, diagnostics = elaborate(Function(definition, instance), args, externals=space.externals)
    if found is None:
        raise HspError(diagnostics)
    return found
