"""An architecture of a space as a network of its own: derived, and elaborated again."""

from __future__ import annotations

from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

from . import derive_module
from .strongest import Decisions


def derived(space: Elaborated, chosen: Decisions) -> Elaborated:
    """The network that decisions select.

    Raises:
        HspError: there is none.
    """
    unit = space.root.instance.unit
    text = print_module(derive_module(space, chosen))
    instance = Loader(plugins=unit.plugins).load_text(text, "derived.hsp", unit.root)
    assert instance is not None, "a derived module parses (law 2)"
    definition = next(d for d in instance.unit.module.definitions if d.name == space.name)
    assert isinstance(definition, ast.GraphDef)
    found, diagnostics = elaborate(Function(definition, instance))
    if found is None:
        raise HspError(diagnostics)
    return found
