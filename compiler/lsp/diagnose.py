"""The diagnostics of a text, and quick fixes made of their hints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from lsprotocol import types

from hdas_dsl.text.diagnostics import Diagnostic, Severity
from hdas_dsl.text.source import Source, Span

from .document import Document
from .positions import span_range

MEANT = re.compile(r"did you mean '([^']+)'\?|^write `([^`]+)`$|^write '(\w+)'$")
"""A hint that says what should stand in place of a word of the text."""
QUOTED = re.compile(r"'([^']+)'")


def diagnostics(document: Document, uri: str, found: Iterable[Diagnostic]) -> list[types.Diagnostic]:
    """Diagnostics as an editor shows them; one of another file stands at the top, and names its place."""
    return [_shown(item, document.source, uri) for item in found]


def _shown(item: Diagnostic, source: Source, uri: str) -> types.Diagnostic:
    span, message = item.span, item.message
    if not is_of(span, source):
        span, message = Span(source, 0, 0), f"{span}: {message}"
    related = []
    if item.other is not None and is_of(item.other[0], source):
        place = types.Location(uri, span_range(item.other[0]))
        related.append(types.DiagnosticRelatedInformation(place, item.other[1]))
    return types.Diagnostic(
        range=span_range(span),
        message=message if item.hint is None else f"{message}\nhint: {item.hint}",
        severity=types.DiagnosticSeverity.Error
        if item.severity is Severity.ERROR
        else types.DiagnosticSeverity.Warning,
        code=item.code.value,
        source="hdas",
        related_information=related,
    )


def is_of(span: Span, source: Source) -> bool:
    """Whether a span lies in a text, or in one of which wrong lines were left out."""
    return span.source.name == source.name and len(span.source.text) == len(source.text)


def fixes(document: Document, uri: str, found: Iterable[Diagnostic], within: types.Range) -> Iterator[types.CodeAction]:
    """Quick fixes of the mistakes that touch a range: the word that a hint proposes, in place of the wrong one."""
    for item in found:
        span = _wrong_word(item, document.source)
        meant = MEANT.search(item.hint or "")
        if span is None or meant is None:
            continue
        shown = _shown(item, document.source, uri)
        if shown.range.end < within.start or within.end < shown.range.start:
            continue
        text = next(filter(None, meant.groups()))
        yield types.CodeAction(
            title=f"Replace '{span.text}' by '{text}'",
            kind=types.CodeActionKind.QuickFix,
            diagnostics=[shown],
            is_preferred=True,
            edit=types.WorkspaceEdit({uri: [types.TextEdit(span_range(span), text)]}),
        )


def _wrong_word(item: Diagnostic, source: Source) -> Span | None:
    """The first word in quotes of a message that stands where the mistake is."""
    if not is_of(item.span, source):
        return None
    start, end = item.span.start, item.span.end
    for word in QUOTED.findall(item.message):
        if (match := re.search(rf"(?<![\w.]){re.escape(word)}(?!\w)", source.text[start:end])) is not None:
            return Span(source, start + match.start(), start + match.end())
    return None
