"""When two architectures are the same: what an equivalence forgets before it compares, and how it compares.

NAS benchmarks disagree on this, so it is data: three equivalences are known by name, and a file defines its own in an
`equivalence` section. What is an identity and what is zero is read off the definitions, whatever they are called.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hdas_dsl import ast
from hdas_dsl.diagnostics import Code, Diagnostic, HspError, suggest

from ..errors import UsageError
from ..program import Program


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
    """What is compared: graphs, up to isomorphism; or what is written, each term in full, with sorted terms."""

    GRAPHS = "graphs"
    TEXTS = "texts"


@dataclass(frozen=True)
class Equivalence:
    """What is forgotten of architectures before they are compared; terms of a sum and names of lines always are."""

    name: str
    identity: Identity = Identity.KEPT
    zero: Zero = Zero.ABSENT
    dead: Dead = Dead.KEPT
    sums: Sums = Sums.NESTED
    compare: Compare = Compare.GRAPHS


ISOMORPHIC = Equivalence("isomorphic")
"""The graphs of operations are isomorphic; a zero is no edge, and all lines count."""

PRUNED = Equivalence("pruned", dead=Dead.UNCONNECTED)
"""Isomorphic after everything is gone that lies on no way from an input to the output."""

FUNCTIONAL = Equivalence("functional", Identity.TRANSPARENT, Zero.VANISHING, Dead.UNREAD, Sums.FLAT)
"""They compute the same for some weights, as far as identities, zeros, sums and what is not read show it."""

KNOWN = {item.name: item for item in (ISOMORPHIC, PRUNED, FUNCTIONAL)}

SETTINGS: dict[str, type[Enum]] = {
    "identity": Identity,
    "zero": Zero,
    "dead": Dead,
    "sums": Sums,
    "compare": Compare,
}


def equivalence(program: Program, name: str) -> Equivalence:
    """An equivalence by its name: one that the file defines, or a known one.

    Raises:
        UsageError: there is none of that name.
        HspError: its section is wrong.
    """
    sections = [line for line in program.unit.module.lines if isinstance(line, ast.Equivalence)]
    for section in sections:
        if section.name == name:
            return _read(section)
    if name in KNOWN:
        return KNOWN[name]
    names = [*KNOWN, *(section.name for section in sections)]
    hint = suggest(name, names)
    raise UsageError(f"--unique {name}: it is one of {', '.join(names)}{f'; {hint}' if hint else ''}")


def _read(section: ast.Equivalence) -> Equivalence:
    values: dict[str, Enum] = {}
    for line in section.settings:
        if not isinstance(line, ast.Setting):
            continue
        kind = SETTINGS.get(line.name)
        if kind is None:
            hint = suggest(line.name, SETTINGS)
            message = f"an equivalence has no setting '{line.name}': it has {', '.join(SETTINGS)}"
            raise HspError([Diagnostic(Code.SETTING, line.span, message, hint)])
        words = [item.value for item in kind]
        if not isinstance(line.value, ast.Name) or line.value.id not in words:
            message = f"'{line.name}' is one of {', '.join(words)}"
            raise HspError([Diagnostic(Code.VALUE, line.value.span, message)])
        values[line.name] = kind(line.value.id)
    return Equivalence(section.name, **values)  # type: ignore[arg-type]
