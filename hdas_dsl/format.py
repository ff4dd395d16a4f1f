"""The canonical form of a text: parsed, and printed again."""

from __future__ import annotations

from .parse.parser import parse_text
from .tree.printer import print_module


def format_text(text: str, name: str = "<text>") -> str:
    """The canonical form of a text.

    Raises:
        HspError: the text has syntax errors; all of them are in it.
    """
    return print_module(parse_text(text, name))
