"""The errors that the parts of the check collect."""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.limits import ErrorList
from hdas_dsl.text.source import Span


class Report(ErrorList):
    """Errors in the order in which they were found."""

    def error(
        self, code: Code, span: Span, message: str, hint: str | None = None, other: tuple[Span, str] | None = None
    ) -> None:
        """Adds an error; the arguments are those of `Diagnostic`."""
        self.add(Diagnostic(code, span, message, hint, other))

    def define(self, known: dict[str, Span], name: str, span: Span, message: str) -> None:
        """Adds a name and its place to the known ones; a name that is known is an error with both places."""
        if name in known:
            self.error(Code.DUPLICATE, span, message, None, (known[name], "first here"))
        else:
            known[name] = span
