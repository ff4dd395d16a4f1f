"""Names of Python: identifiers that are free, and no keywords."""

from __future__ import annotations

import keyword
import re


def identifier(name: str) -> str:
    """A name as a Python identifier."""
    word = re.sub(r"\W", "_", name)
    return f"_{word}" if word[0].isdigit() else word


def unique(name: str, taken: set[str], joint: str = "_") -> str:
    """A name that is not taken, and no keyword; numbered if need be."""
    found, number = name, 2
    while found in taken or keyword.iskeyword(found):
        found, number = f"{name}{joint}{number}", number + 1
    taken.add(found)
    return found


def pascal(name: str) -> str:
    """A name as that of a class."""
    words = re.split(r"[\W_]+", name)
    return identifier("".join(word[:1].upper() + word[1:] for word in words))
