"""Names of the language as names of Python: one renaming, for lowered networks and for exported files."""

from __future__ import annotations

import keyword
import re

from torch import fx, nn

WEIGHTS = "weights"
"""The name of the argument that holds the weights of the choices."""

_GLOBALS = {"self", "super", "len", "torch", "nn", "F", "Tensor", "__debug__"}
"""Names that generated code reads besides its own."""

RESERVED = frozenset({*keyword.kwlist, *dir(fx.GraphModule(nn.Module(), fx.Graph())), *_GLOBALS, "meta", WEIGHTS})
"""Names that Python, torch or generated code uses itself."""

_LONGEST_TAIL = {word.rstrip("_"): len(word) - len(word.rstrip("_")) for word in sorted(RESERVED, key=len)}
"""The most underscores at the end of a reserved word, by the word without them: the longest comes last and wins."""


def free(word: str) -> str:
    """A word that is not reserved, nor private to a class (``__x``); different words stay different.

    A word keeps its name unless it is reserved up to underscores at its end; all words that are so get as many more of
    them as it takes for the last to be free: ``half`` is ``half_``, and ``half_`` is ``half__``.
    """
    stem = word.rstrip("_")
    longest = 2 if stem.startswith("__") else _LONGEST_TAIL.get(stem)
    return word if longest is None else word + "_" * (longest + 1)


def identifier(name: str) -> str:
    """A dotted name as an identifier that is not reserved."""
    word = free(re.sub(r"\W", "_", name))
    return f"_{word}" if word[0].isdigit() else word


def pascal(name: str) -> str:
    """A name as that of a class; one of underscores alone stays as it is."""
    words = re.split(r"[\W_]+", name)
    return identifier("".join(word[:1].upper() + word[1:] for word in words) or name)


def unique(name: str, taken: set[str], joint: str = "_") -> str:
    """A name that is not taken yet, numbered if need be; it is taken then."""
    found, number = name, 2
    while found in taken:
        found, number = f"{name}{joint}{number}", number + 1
    taken.add(found)
    return found
