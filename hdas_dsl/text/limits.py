"""The limits of a text's size, which bound the time and memory of reading it.

The largest file of the shipped spaces has fewer than 3,000 tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

from .diagnostics import Code, Diagnostic
from .source import Source, Span

MAX_CHARACTERS = 2_000_000
"""The most characters of one text; comments take characters and no tokens."""

MAX_TOKENS = 50_000
"""The most tokens of a file together with all files that it uses."""

MAX_FILES = 100
"""The most files that one file may use, directly or not; also how deep their uses may be nested."""

MAX_REPLACEMENTS = 100
"""The most definitions that one `use` may replace."""

MAX_ERRORS = 100
"""The most errors reported of one file; looking for more would take time, and nobody reads them."""


class LimitError(Exception):
    """A text goes beyond a limit; its diagnostic is the last one. Never leaves the language's own functions."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def too_large(span: Span, message: str) -> Diagnostic:
    """The error of a text beyond one of the limits: ``a file has at most ...``."""
    return Diagnostic(Code.LARGE, span, message)


def check_length(source: Source) -> None:
    """Refuse a text that is too long to be read.

    Raises:
        LimitError: it has more than `MAX_CHARACTERS`.
    """
    if len(source.text) > MAX_CHARACTERS:
        message = f"a file has at most {MAX_CHARACTERS:,} characters, not {len(source.text):,}"
        raise LimitError(too_large(Span(source, 0, 0), message))


@dataclass
class TokenBudget:
    """The tokens that a file and those that it uses may still have."""

    left: int = MAX_TOKENS

    def take(self, span: Span) -> None:
        """Count the token at this place.

        Raises:
            LimitError: it is one too many.
        """
        self.left -= 1
        if self.left < 0:
            message = f"a file, with those that it uses, has at most {MAX_TOKENS:,} words, numbers and signs"
            raise LimitError(too_large(span, message))


class ErrorList:
    """The errors of one file, in the order in which they are found."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def add(self, diagnostic: Diagnostic) -> None:
        """Add an error.

        Raises:
            LimitError: it is more than one after `MAX_ERRORS`.
        """
        if len(self.diagnostics) == MAX_ERRORS:
            message = f"this file has more than {MAX_ERRORS} errors, and only so many are looked for"
            raise LimitError(too_large(diagnostic.span, message))
        self.diagnostics.append(diagnostic)
