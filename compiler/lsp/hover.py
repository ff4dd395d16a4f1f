"""Hover texts: the documentation of the word under the pointer."""

from __future__ import annotations

from collections.abc import Iterator

from lsprotocol import types

from compiler.analysis.costs.block_totals import Cost
from compiler.ir.decision import Decision, DecisionKind
from hdas_dsl.tree import ast

from .document import Document
from .mentions import Mention, mention_at, signature
from .positions import offset, position, span_range
from .settings import Place, setting_at, setting_text
from .values import cost, decisions, derived, expressions_at, shapes

MOST_PATHS = 3
"""How many decisions of an expression are named."""


def hover(document: Document, place: types.Position) -> types.Hover | None:
    """The signature or meaning of the name at a place, the shapes and cost of the expression, and what it decides."""
    at = offset(document.source, place)
    if document.unit is None:
        return None
    mention = mention_at(document.mentions, at)
    parts = [] if mention is None else [named(mention)]
    parts += list(computed(document, at, mention))
    if not parts and (found := setting_at(document.unit.module, at)) is not None:
        return _shown(setting_text(found), found)
    if not parts:
        return None
    source = document.source
    where = span_range(mention.span) if mention else types.Range(position(source, at), position(source, at))
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, "\n\n".join(parts)), where)


def _shown(text: str, found: Place) -> types.Hover:
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), span_range(found.span))


def named(mention: Mention) -> str:
    """The definition that a name refers to, as it is written, with the comments above it."""
    target = mention.target
    match target.meaning:
        case ast.OpDef() | ast.GraphDef() | ast.MenuDef() as found:
            text = found.span.text if isinstance(found, ast.MenuDef) else signature(found)
        case ast.Use(span=span) | ast.Param(span=span):
            text = span.text
        case ast.Phase() | ast.Method() as found:
            text = f"{type(found).__name__.lower()} {found.name}"
        case ast.Binding() | ast.Dim() as found:
            text = found.span.text.partition(" where ")[0]
    where = "" if mention.span.source.name == target.unit.source.name else f"*{target.unit.source.name}*"
    return "\n\n".join(
        part for part in (f"```hsp\n{text}\n```", comment_above(target.unit.module, target.span.start), where) if part
    )


def comment_above(module: ast.Module, at: int) -> str:
    """The comments right above the line of a definition."""
    found: list[str] = []
    for line in module.lines:
        if line.span.start <= at < line.span.end and not isinstance(line, ast.Comment):
            return " ".join(found)
        if isinstance(line, ast.Comment) and not (line.gap and found):
            found.append(line.text.removeprefix("#").strip())
        elif isinstance(line, ast.Comment):
            found = [line.text.removeprefix("#").strip()]
        else:
            found = []
    return ""


def computed(document: Document, at: int, mention: Mention | None) -> Iterator[str]:
    """Shapes, cost and decisions of the innermost expressions at a place that have any."""
    assert document.unit is not None
    found = None
    for node in expressions_at(document.unit, at):
        if isinstance(node, ast.Binding | ast.Output):
            node = node.value
        items = document.occurrences.get((node.span.start, node.span.end), ())
        if items and (shapes(items) or decisions(items)):
            found = items
            break
        if isinstance(node, ast.Block):
            return
    if found is None:
        return
    if text := shapes(found):
        yield f"shape `{text}`{derived(found)}"
    if (price := cost(found)) is not None and price != Cost(0, 0, 0):
        yield priced(price) + derived(found)
    for decision in list(decisions(found).values())[:MOST_PATHS]:
        yield decided(decision)
    if (more := len(decisions(found)) - MOST_PATHS) > 0:
        yield f"and {more} decision{'s' if more > 1 else ''} more"


def priced(price: Cost) -> str:
    """A cost in words; with all candidates, where some are still to be chosen."""
    names = {"parameters": price.params, "multiply-adds": price.macs, "bytes of activations": price.memory}
    return ", ".join(f"{value:,} {name}" for name, value in names.items() if value is not None)


def decided(decision: Decision) -> str:
    """A decision in words: its path, how many items it has and how many it takes."""
    items = ", ".join(decision.items[:8]) + (", ..." if len(decision.items) > 8 else "")
    if decision.kind is DecisionKind.PICK:
        return f"picks {decision.amount} of {len(decision.items)} at `{decision.path}`: {items}"
    left = sum(decision.derivable)
    lost = "" if left == len(decision.items) else f", of which {left} can be derived"
    return f"chooses one of {len(decision.items)}{lost} at `{decision.path}`: {items}"
