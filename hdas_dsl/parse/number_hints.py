"""What is meant by a number that is written as the language does not write it: ``20k``, ``8MB``, ``5ms``."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?P<digits>[0-9][0-9_]*(?:\.[0-9]+)?)(?P<unit>[A-Za-z]*)")


def meant_number(text: str) -> str:
    """The hint at a word that starts with a digit and is no number."""
    if (found := _NUMBER.fullmatch(text)) is not None:
        unit, number = found["unit"], found["digits"].replace("_", "")
        size = unit.upper().removesuffix("B").removesuffix("I")
        if unit == "ms":
            return f"a latency is in milliseconds: write '{number}'"
        if size in ("K", "M", "G") and unit.upper() != size:
            return f"memory is in bytes: write '{number}{size}'"
        if size in ("", "K", "M", "G"):
            return f"write '{number}{size}'"
    return "a number ends in a digit, K, M or G; a name starts with a letter"
