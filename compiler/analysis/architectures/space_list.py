"""All architectures of a file in one list: each has a number, its decisions and a text of its own.

A file that is searched in phases has one part for each: an architecture is one of every part.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod

from compiler.analysis.counting.count import Left, counted
from compiler.derivation import derive_module
from compiler.derivation.strongest import default_decisions
from compiler.elaborate import Elaborated
from compiler.ir.combinatorics.circuit import Circuit, way
from compiler.ir.decision import Decision, Selection
from compiler.program.compile_file import Program
from compiler.program.provenance import origin, section
from compiler.program.request import Request
from compiler.util.errors import UsageError
from hdas_dsl.tree.printer import print_module

from .constraints import Limits

Choices = tuple[Selection, ...]
"""The decisions that exist in an architecture, part by part."""


@dataclass(frozen=True, eq=False)
class Part:
    """One network that is chosen in: that of a phase, or the only one of a file."""

    name: str
    space: Elaborated
    circuit: Circuit
    left: tuple[Left, ...]


@dataclass(frozen=True, eq=False)
class Architecture:
    """An architecture of a file: its decisions, and its number where it was found by one. ``notes`` say how."""

    listing: Architectures
    choices: Choices
    notes: Mapping[str, str]
    number: int | None = None

    @property
    def decisions(self) -> Selection:
        """The items of every decision that exists, by path."""
        return {path: items for part in self.choices for path, items in part.items()}

    @cached_property
    def text(self) -> str:
        """What it is in the language."""
        return self.listing.text(self.choices, self.notes)


class Architectures:
    """The architectures of a file that a command names, numbered from 0."""

    def __init__(self, request: Request) -> None:
        """Compile the file and count.

        Raises:
            HspError: the file is wrong, or it has a structure that is not counted.
        """
        self.request = request
        self.program = request.compile()
        phases = [phase for phase in self.program.phases if not phase.optional] or list(self.program.phases)
        spaces = {phase.name: phase.network for phase in phases} or {"": self.program.network}
        self.parts = tuple(Part(name, space, *counted(space)) for name, space in spaces.items())

    @cached_property
    def number(self) -> int:
        """How many there are, before the requirements that only an architecture can be asked for."""
        return prod(part.circuit.number for part in self.parts)

    @cached_property
    def limits(self) -> Limits:
        """Those requirements."""
        return Limits.of(self.program, [item for part in self.parts for item in part.left])

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """Every decision of the file."""
        return {path: decision for part in self.parts for path, decision in part.space.decisions.items()}

    def choices(self, number: int) -> Choices:
        """The decisions of an architecture by its number."""
        found = []
        for part in reversed(self.parts):
            number, own = divmod(number, part.circuit.number)
            found.append(way(part.circuit, own))
        if number:
            raise IndexError(f"there are only {self.number} architectures")
        return tuple(reversed(found))

    def architecture(self, number: int, **notes: str) -> Architecture:
        """An architecture by its number; ``notes`` go into its provenance."""
        return Architecture(self, self.choices(number), {"number": f'"{number}"', **notes}, number)

    def text(self, choices: Choices, notes: Mapping[str, str]) -> str:
        """An architecture in the language, as a search that found it would write it, but for its provenance."""
        found: dict[str, str] = {}
        program, text = self.program, ""
        for position, (part, chosen) in enumerate(zip(self.parts, choices, strict=True)):
            program = self.request.compile(found) if position else program
            space = _network(program, part.name)
            last = position == len(self.parts) - 1
            lines = section({**origin(self.program), **notes}) if last else []
            module = derive_module(space, completed(space, chosen), program.train if last else None, lines)
            text = found[part.name] = print_module(module)
        return text

    def require_some(self) -> None:
        """Refuse a file that has no architecture, or nothing to choose.

        Raises:
            UsageError: says which.
        """
        if not any(part.space.is_space for part in self.parts):
            raise UsageError(f"'{self.program.name}' is an architecture: there is nothing to choose in it")
        if not self.number:
            raise UsageError(f"'{self.program.name}' has no architecture: its requirements leave none")


def completed(space: Elaborated, chosen: Selection) -> Selection:
    """Decisions with some item for each that does not exist, which derivation never writes."""
    return {**default_decisions(space.decisions), **chosen}


def _network(program: Program, phase: str) -> Elaborated:
    return next((item.network for item in program.phases if item.name == phase), program.network)
