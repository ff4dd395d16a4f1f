"""Errors as values: a code, a place, a message, a hint, and the second place of a conflict."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from .errors import HdasError
from .printable import printable
from .source import Span

LONGEST_LINE = 500
"""The most characters of a source line that are shown, around the place of the error."""

LONGEST_MESSAGE = 1000
"""The most characters of a message that are shown: it may quote a text."""

FEW_KNOWN = 8
"""The most known names that an error lists, where none of them is close to the wrong one."""

MOST_KNOWN = 1000
"""The most names among which a close one is looked for, since each takes time."""

LONGEST_NAME = 100
"""The most characters of a name for which close names are looked for."""


class Severity(Enum):
    """Whether a diagnostic stops the compilation."""

    ERROR = "error"
    WARNING = "warning"


class Code(Enum):
    """Every kind of error; ``tests/fixtures/wrong/`` holds a golden file for each."""

    # The text
    SYNTAX = "E101"
    CHARACTER = "E102"
    UNCLOSED = "E103"
    MIXED_PIPE = "E104"
    VERSION = "E105"
    # Names and files
    UNKNOWN_NAME = "E201"
    DUPLICATE = "E202"
    NO_FILE = "E203"
    OUTSIDE = "E204"
    CYCLE = "E205"
    TOO_EARLY = "E206"
    AMBIGUOUS = "E207"
    NO_NETWORK = "E208"
    NOT_EARLIER = "E209"
    NO_OUTPUT = "E210"
    NO_REPLACEMENT = "E211"
    # Calls and values
    ARGUMENT = "E301"
    MISSING = "E302"
    KIND = "E303"
    RANGE = "E304"
    DEPTH = "E305"
    LARGE = "E306"
    # Shapes
    SHAPE = "E401"
    CHANNELS = "E402"
    WIDTHS = "E403"
    RESOLUTION = "E404"
    # Choices and copies
    FEW = "E501"
    INSTANCES = "E502"
    COPY = "E503"
    UNDERIVABLE = "E504"
    BIND = "E505"
    # Relaxation
    UNMIXABLE = "E601"
    UNDECIDED = "E602"
    # Settings, phases, plugins
    SETTING = "E701"
    VALUE = "E702"
    PHASE = "E703"
    QUANTITY = "E704"
    PLUGIN = "E705"
    # Warnings
    LIBRARY = "W801"
    REQUIRE = "W802"
    GENOTYPE = "W803"
    RENAMED = "W804"
    UNFIT = "W805"


@dataclass(frozen=True)
class Diagnostic:
    """An error or a warning about a text.

    Attributes:
        code: The kind of error.
        span: Its place.
        message: One sentence without a full stop.
        hint: How to mend it, if that is known.
        other: The second place of a conflict and a label for it.
        severity: Whether it is an error.
    """

    code: Code
    span: Span
    message: str
    hint: str | None = None
    other: tuple[Span, str] | None = None
    severity: Severity = Severity.ERROR

    def render(self) -> str:
        """The message with its source line and a caret under the exact span."""
        head = f"{self.span}: {self.severity.value}[{self.code.value}]: {_shortened(self.message)}"
        parts = [head, excerpt(self.span)]
        if self.other is not None:
            span, label = self.other
            parts += [f"{span}: note: {label}", excerpt(span)]
        if self.hint is not None:
            parts.append(f"  hint: {_shortened(self.hint)}")
        return "\n".join(printable(part) for part in parts if part)


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Whether there is an error among diagnostics, besides warnings."""
    return any(item.severity is Severity.ERROR for item in diagnostics)


def excerpt(span: Span) -> str:
    """The first source line of a span with carets below it; empty for a span of no text."""
    text = span.source.line(span.line).replace("\t", " ").rstrip("\r")
    if not text and span.start == span.end:
        return ""
    column, end = span.column - 1, span.column - 1 + span.end - span.start
    if len(text) > LONGEST_LINE:
        first = max(0, min(column - LONGEST_LINE // 2, len(text) - LONGEST_LINE))
        text, column, end = text[first : first + LONGEST_LINE], column - first, end - first
    before, meant = text[:column], text[column:end]
    width = max(1, len(printable(meant)))
    return f"    {printable(text)}\n    {' ' * len(printable(before))}{'^' * width}"


def _shortened(message: str) -> str:
    """A message, cut off at `LONGEST_MESSAGE`."""
    return message if len(message) <= LONGEST_MESSAGE else f"{message[:LONGEST_MESSAGE]}..."


class DiagnosticError(Exception):
    """An error that ends the reading of one part of a text; caught where that part ends. Never leaves its package."""

    def __init__(
        self,
        code: Code,
        span: Span,
        message: str,
        hint: str | None = None,
        other: tuple[Span, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, span, message, hint, other)


class HspError(HdasError):
    """The errors of a file. Raised only by the public functions; inside the library, diagnostics are values."""

    exit_code = 1

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(diagnostic.render() for diagnostic in self.diagnostics))


def suggest(wrong: str, known: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` if one of the known names is close to the wrong one; else, or for too many names, None."""
    if len(wrong) > LONGEST_NAME:
        return None
    names = sorted({name for name in known if len(name) <= LONGEST_NAME})
    if len(names) > MOST_KNOWN:
        return None
    close = difflib.get_close_matches(wrong, names, n=1, cutoff=0.7)
    return f"did you mean '{close[0]}'?" if close else None


def hinted(message: str, hint: str | None) -> str:
    """A message in one line with a hint, where there is one."""
    return message if hint is None else f"{message}; {hint}"


def suggest_or_list(wrong: str, known: Iterable[str]) -> str | None:
    """The result of `suggest`, else all names where they are few; else None."""
    names = sorted(set(known))
    few = f"known: {', '.join(names)}" if 0 < len(names) <= FEW_KNOWN else None
    return suggest(wrong, names) or few


def to_json(diagnostic: Diagnostic) -> dict[str, object]:
    """A diagnostic as JSON values. Lines and columns count from 1; ``end_column`` follows the last character."""
    related = [] if diagnostic.other is None else [{"message": diagnostic.other[1], **_place(diagnostic.other[0])}]
    return {
        "code": diagnostic.code.value,
        "severity": diagnostic.severity.value,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        **_place(diagnostic.span),
        "related": related,
    }


def _place(span: Span) -> dict[str, object]:
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": span.line,
        "column": span.column,
        "end_line": end_line,
        "end_column": end_column,
    }
