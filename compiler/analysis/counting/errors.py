"""Why a number of architectures is not known."""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.text.source import Span


class UncountableError(HspError):
    """A text, or what it requires, has a structure that is not counted; the space can still be searched.

    Args:
        span: where in the text that is.
        message: why.
    """

    def __init__(self, span: Span, message: str) -> None:
        super().__init__([Diagnostic(Code.QUANTITY, span, message)])
        self.message = message
