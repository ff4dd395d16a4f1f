"""When two architectures are the same: what an equivalence forgets before it compares, and how it compares.

NAS benchmarks disagree on this, so it is data: three equivalences are known by name, and a file defines its own in an
`equivalence` section. Identities and zeros are recognised by their definitions, whatever they are called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import Code, Diagnostic, hinted, suggest
from hdas_dsl.tree import ast


class Identity(Enum):
    """An operation that gives what it gets: an operation like others, or nothing but its source."""

    KEPT = "kept"
    TRANSPARENT = "transparent"


class Zero(Enum):
    """An operation that gives zeros.

    Kept: an operation like others. Absent: no term of a sum. Vanishing: so is what makes zeros of zeros. Term: a term
    of a sum that stays there, as zero; what reads nothing else is zero too, whatever it does.
    """

    KEPT = "kept"
    ABSENT = "absent"
    VANISHING = "vanishing"
    TERM = "term"


class Dead(Enum):
    """Lines off the way: all kept; without those that the output does not read; nor those that no input reaches."""

    KEPT = "kept"
    UNREAD = "unread"
    UNCONNECTED = "unconnected"


class Sums(Enum):
    """A sum that is a term of a sum: a term like others, or its terms are."""

    NESTED = "nested"
    FLAT = "flat"


class Compare(Enum):
    """The objects compared: graphs, up to isomorphism; or texts, each term in full, with sorted terms."""

    GRAPHS = "graphs"
    TEXTS = "texts"


@dataclass(frozen=True)
class Equivalence:
    """The parts of architectures that a comparison ignores, besides the order of sums and the names of lines."""

    name: str
    identity: Identity = Identity.KEPT
    zero: Zero = Zero.ABSENT
    dead: Dead = Dead.KEPT
    sums: Sums = Sums.NESTED
    compare: Compare = Compare.GRAPHS


ISOMORPHIC = Equivalence("isomorphic")
"""The graphs of operations are isomorphic; a zero is not an edge, and all lines count."""

PRUNED = Equivalence("pruned", dead=Dead.UNCONNECTED)
"""Isomorphic after everything is gone that lies on no way from an input to the output."""

FUNCTIONAL = Equivalence("functional", Identity.TRANSPARENT, Zero.VANISHING, Dead.UNREAD, Sums.FLAT)
"""Equal functions for some weights, as far as identities, zeros, sums and unread lines show it."""

KNOWN = {item.name: item for item in (ISOMORPHIC, PRUNED, FUNCTIONAL)}

SETTINGS: dict[str, type[Enum]] = {
    "identity": Identity,
    "zero": Zero,
    "dead": Dead,
    "sums": Sums,
    "compare": Compare,
}


def equivalence(own: Sequence[Equivalence], name: str, said: str = "--unique") -> Equivalence:
    """An equivalence by its name: one of a file's ``own``, or a known one; ``said`` is where it is named.

    Raises:
        UsageError: there is none of that name.
    """
    named = KNOWN | {item.name: item for item in own}
    if name in named:
        return named[name]
    hint = suggest(name, named)
    raise UsageError(hinted(f"{said} {name}: it is one of {', '.join(named)}", hint))


def read_equivalence(section: ast.Equivalence) -> tuple[Equivalence, list[Diagnostic]]:
    """The equivalence of a section, and everything that is wrong with it."""
    values: dict[str, Enum] = {}
    wrong: list[Diagnostic] = []
    for line in section.settings:
        if isinstance(line, ast.Comment):
            continue
        name = line.name if isinstance(line, ast.Setting | ast.Phase) else ""
        kind = SETTINGS.get(name)
        if not isinstance(line, ast.Setting) or kind is None:
            message = f"an equivalence is made of {', '.join(SETTINGS)}"
            wrong.append(Diagnostic(Code.SETTING, line.span, message, suggest(name, SETTINGS)))
            continue
        words = [item.value for item in kind]
        if isinstance(line.value, ast.Name) and line.value.id in words:
            values[name] = kind(line.value.id)
            continue
        hint = suggest(line.value.id, words) if isinstance(line.value, ast.Name) else None
        wrong.append(Diagnostic(Code.VALUE, line.value.span, f"'{name}' is one of {', '.join(words)}", hint))
    return Equivalence(section.name, **values), wrong  # type: ignore[arg-type]
