"""Semantic tokens: the kind of each name of a text, by which editors colour names.

A grammar of words cannot tell an operation from a parameter of the same spelling; what `mentions` knows can.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lsprotocol import types

from hdas_dsl.tree import ast

from .document import Document
from .mentions import Meaning, Mention
from .positions import is_library, position, units

KINDS = {
    ast.OpDef: types.SemanticTokenTypes.Function,
    ast.GraphDef: types.SemanticTokenTypes.Class,
    ast.MenuDef: types.SemanticTokenTypes.Enum,
    ast.Param: types.SemanticTokenTypes.Parameter,
    ast.Binding: types.SemanticTokenTypes.Variable,
    ast.Dim: types.SemanticTokenTypes.Variable,
    ast.Phase: types.SemanticTokenTypes.Property,
    ast.Method: types.SemanticTokenTypes.Method,
    ast.Use: types.SemanticTokenTypes.Namespace,
}
"""The type of token of each thing that a name may stand for."""

MODIFIERS = (types.SemanticTokenModifiers.Definition, types.SemanticTokenModifiers.DefaultLibrary)
"""Where a thing is defined; and what is of the shipped library."""

LEGEND = types.SemanticTokensLegend(
    [kind.value for kind in dict.fromkeys(KINDS.values())], [modifier.value for modifier in MODIFIERS]
)
"""The legend of the numbers of tokens."""


def tokens(document: Document) -> types.SemanticTokens:
    """The names of a text in the protocol's form: five numbers each, the place counted from the token before."""
    data: list[int] = []
    line, start = 0, 0
    for mention in _once(document.mentions):
        place = position(mention.span.source, mention.span.start)
        data += [place.line - line, place.character - (start if place.line == line else 0), units(mention.span.text)]
        data += [_kind(mention.target.meaning), _modifiers(mention)]
        line, start = place.line, place.character
    return types.SemanticTokens(data)


def _once(mentions: Iterable[Mention]) -> Iterator[Mention]:
    """The mentions in the order of their places, of several in one place the first."""
    end = 0
    for mention in mentions:
        if mention.span.start >= end:
            end = mention.span.end
            yield mention


def _kind(meaning: Meaning) -> int:
    return LEGEND.token_types.index(KINDS[type(meaning)].value)


def _modifiers(mention: Mention) -> int:
    own = mention.span == mention.target.span
    return sum(1 << bit for bit, holds in enumerate((own, is_library(mention.target.unit))) if holds)
