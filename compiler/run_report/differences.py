"""What differs between two texts of the language, where both can be read."""

from __future__ import annotations

from hdas_dsl.diff.differ import Diff, diff
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.text.diagnostics import HspError


def differences(left: str, right: str) -> Diff | None:
    """The differences of two texts; None where one of them cannot be read."""
    try:
        return diff(parse_text(left, "left"), parse_text(right, "right"))
    except HspError:
        return None
