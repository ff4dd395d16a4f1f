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


def derived(space: Elaborated, chosen: Selection) -> Elaborated:
    """The network that decisions select.

    Raises:
        HspError: there is none.
    """
    unit = space.root.instance.unit
    text = print_module(derive_module(space, chosen))
    instance = Loader().load_text(text, "derived.hsp", unit.root)
    assert instance is not None, "a derived module parses (law 2)"
    definition = next(d for d in instance.unit.module.definitions if d.name == space.name)
    assert isinstance(definition, ast.GraphDef)
    found, diagnostics = elaborate(instance, Function(definition, instance), externals=space.externals)
    if found is None:
        raise HspError(diagnostics)
    return found
