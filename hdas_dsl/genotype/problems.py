"""Errors and remarks about a genotype."""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Code, Diagnostic, DiagnosticError, Severity, has_errors
from hdas_dsl.text.source import Span


class InvalidPartError(DiagnosticError):
    """A part of the text that cannot be read; the parts beside it still report theirs."""


class Report:
    """Diagnostics in the order in which they are found."""

    def __init__(self) -> None:
        self.diagnostics: list[Diagnostic] = []

    def wrong(self, code: Code, span: Span, message: str, hint: str | None = None) -> None:
        """Note an error."""
        self.diagnostics.append(Diagnostic(code, span, message, hint))

    def warn(self, span: Span, message: str) -> None:
        """Note a part of the genotype that is not read as it is written."""
        self.diagnostics.append(Diagnostic(Code.GENOTYPE, span, message, severity=Severity.WARNING))

    def caught(self, error: InvalidPartError) -> None:
        """Note an error that ended the reading of a part."""
        self.diagnostics.append(error.diagnostic)

    @property
    def failed(self) -> bool:
        """Whether there is an error among the diagnostics."""
        return has_errors(self.diagnostics)

    def sorted(self) -> list[Diagnostic]:
        """The diagnostics in the order of the text."""
        return sorted(self.diagnostics, key=lambda item: item.span.start)
