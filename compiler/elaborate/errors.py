"""The exceptions that stop elaboration: an error in the program, or one that is already reported."""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Diagnostic, DiagnosticError


class ElaborationError(DiagnosticError):
    """An error in the program; caught where a line ends, so that the other lines still report theirs."""

    @classmethod
    def of(cls, found: Diagnostic) -> ElaborationError:
        """An error that another reader has found."""
        return cls(found.code, found.span, found.message, found.hint, found.other)


class AlreadyReportedError(Exception):
    """Something depends on a line that already has an error."""
