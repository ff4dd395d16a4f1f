"""The names that an expression may refer to, besides the definitions of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_of


class Place(Enum):
    """The place that an expression stands in; the value is the noun of messages about an unknown name there."""

    VALUE = "name"
    OPERATION = "operation"
    NETWORK = "network"


@dataclass
class Family:
    """The elements of one name.

    Attributes:
        sizes: The size of each index, None where it is not a plain number; None for a family that has no line of its
            own but only elements (``n0 = ...``).
            but only elements (``n0 = ...``).
        elements: The elements that have lines of their own.
    """

    span: Span
    sizes: tuple[int | None, ...] | None = None
    elements: dict[tuple[int, ...], Span] = field(default_factory=dict)

    def may_have(self, index: tuple[int, ...]) -> bool:
        """Whether the family could have this element."""
        if self.sizes is None:
            return index in self.elements
        return len(index) == len(self.sizes)

    def has(self, index: tuple[int, ...]) -> bool:
        """Whether the line of the family certainly makes this element: the sizes are plain numbers."""
        sizes = self.sizes or ()
        return len(index) == len(sizes) and all(s is not None and i < s for i, s in zip(index, sizes, strict=True))


@dataclass
class Scope:
    """The names that an expression sees besides those of the file.

    Attributes:
        lines: Inputs, parameters and lines of the body so far.
        families: Families of the body so far.
        later: Names that are defined further on, so that their use is too early rather than unknown.
        local: Indices and `where` names of the line.
        tensors: Those of the names that are certainly tensors.
        element: The family that the line defines an element of.
        quantities: Whether the names of quantities may stand here.
        phases: Phases of the search before this place.
        menu: Whether the place is in a named choice, which has parameters and no inputs.
    """

    lines: dict[str, Span] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)
    later: Mapping[str, Span] = field(default_factory=dict)
    local: dict[str, Span] = field(default_factory=dict)
    tensors: frozenset[str] = frozenset()
    element: str | None = None
    quantities: bool = False
    phases: Mapping[str, ast.Phase] = field(default_factory=dict)
    menu: bool = False

    def binds(self, name: str) -> bool:
        """Whether a name, that of an element such as ``n2`` included, is defined in the body."""
        if name in self.local or name in self.lines or name in self.families:
            return True
        found = element_of(name)
        return found is not None and found[0] in self.families and self.families[found[0]].may_have(found[1])

    def names(self) -> Iterator[str]:
        """All names that could be meant by a misspelt one."""
        yield from self.local
        yield from self.lines
        yield from self.families
        yield from self.phases


def defined_names(block: ast.Block) -> dict[str, Span]:
    """Every name that the lines of a body define, with its first place; a family also as ``n[]``."""
    found: dict[str, Span] = {}
    for line in block.lines:
        if not isinstance(line, ast.Binding):
            continue
        ident = line.target.ident
        found.setdefault(ident.name, ident.span)
        element = element_of(ident.name)
        if line.target.dims:
            found.setdefault(f"{ident.name}[]", ident.span)
        elif element is not None:
            found.setdefault(element[0], ident.span)
    return found
