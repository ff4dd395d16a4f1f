"""Words and signs of the grammar, by where they may stand."""

from __future__ import annotations

from typing import Final

TOP_WORDS: Final = (
    "op",
    "choice",
    "cell",
    "stage",
    "network",
    "use",
    "search",
    "method",
    "train",
    "equivalence",
    "provenance",
)
BODY_WORDS: Final = ("output", "aux", "require", "minimize", "maximize", "prune")
SETTING_WORDS: Final = ("phase", "require", "minimize", "maximize")
FIRST_WORDS: Final = frozenset({"hsp", *TOP_WORDS, *BODY_WORDS, *SETTING_WORDS})
"""Words that stand only at the start of a line."""


def words(text: str) -> frozenset[str]:
    """The words and signs of a text that has spaces between them."""
    return frozenset(text.split())


OPERATORS: Final = words("+ - * / // % ** == != < <= > >= in and or not")
LISTS: Final = words(", where with")
OPEN: Final = OPERATORS | LISTS | words("-> | .. = : . @ if then else as weight pick any first last of earlier each")
"""A line goes on after these."""

INSIDE_WORDS: Final = tuple(
    sorted(word for word in OPEN | words("external by") if word.isalpha() and word not in OPERATORS)
)
"""Words that stand inside of a line."""

OPERATOR_WORDS: Final = tuple(sorted(word for word in OPERATORS if word.isalpha()))
"""Operators that are words."""

KEYWORDS: Final = frozenset({*FIRST_WORDS, *INSIDE_WORDS, *OPERATOR_WORDS})
"""All words of the grammar; `by` is one behind the target of a `search` alone."""

INFIX: Final = OPERATORS - {"not"} | words("-> | .. = : . @ if then else as weight of where with , {")
"""A line goes on before these."""
