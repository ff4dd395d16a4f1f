"""The language: text, syntax tree, diagnostics, checks, canonical form, differences. No torch, no networkx.

    from hdas_dsl import parse_text, format_text, print_module

They are imported when asked for, so that each command loads only what it needs.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hdas_dsl.parse.parser import parse_text
    from hdas_dsl.text.diagnostics import Diagnostic, HspError

    from .format import format_text
    from .tree.printer import print_module

__all__ = ["Diagnostic", "HspError", "format_text", "parse_text", "print_module"]

_HOMES = {
    "Diagnostic": "text.diagnostics",
    "HspError": "text.diagnostics",
    "format_text": "format",
    "parse_text": "parse.parser",
    "print_module": "tree.printer",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hdas_dsl' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
