"""A text of an architecture, written out: each term in full, down to the inputs, and the terms of a sum sorted.

Published programs tell architectures apart by such texts. What is seen through is replaced by the text of its source,
so that a sum inside a sum stays together when the terms around it are sorted; graphs that are compared as sums, nested
or flat, give other numbers.
"""

from __future__ import annotations

from collections.abc import Sequence

from .terms import ZERO, Term


def written(terms: Sequence[Term]) -> str:
    """The text of the last term."""
    texts: list[str] = []
    for term in terms:
        sources = [texts[source] for source in term.sources]
        if term.label == ZERO:
            texts.append("#")
        elif term.label[0] == "input":
            texts.append(f"x{term.label[1]}")
        elif (op := term.combines) is not None:
            texts.append(f" {op.infix or op.called} ".join(sorted(sources)))
        elif term.label[0] == "output":
            texts.append("".join(sources))
        else:
            texts.append(f"({', '.join(sources)}) -> {' '.join(map(str, term.label))}")
    return texts[-1]
