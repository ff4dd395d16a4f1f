"""All architectures of a file in one list: each has a number, its decisions and a text of its own.

A file that is searched in phases has one part for each that decides what the last one derives (`model.deciding`): an
architecture is one of every part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from random import Random

from compiler.analysis.counting.count import UncountedRequirement, counted
from compiler.analysis.requirements.evaluate import Requirements
from compiler.derivation import derive_module
from compiler.derivation.strongest import default_decisions, readable
from compiler.elaborate import Elaborated, Origin
from compiler.ir.combinatorics.circuit import Circuit, rank_of, way
from compiler.ir.combinatorics.weighted import WeightedWays
from compiler.ir.decision import Decision, Selection
from compiler.program.model import Program, deciding
from compiler.program.provenance import origin, section
from compiler.program.request import Request
from compiler.util.errors import UsageError
from compiler.util.plural import plural
from hdas_dsl.tree.printer import print_module

from .constraints import Verdict, judge
from .grammar_space import Drawn, GrammarSpace

Choices = tuple[Selection, ...]
"""The decisions that exist in an architecture, part by part."""


@dataclass(frozen=True, eq=False)
class Part:
    """One network that is chosen in: that of a phase, or the only one of a file, where the name is empty."""

    name: str
    program: Program
    is_last: bool = True

    @cached_property
    def space(self) -> Elaborated:
        """The network."""
        return next((phase.network for phase in self.program.phases if phase.name == self.name), self.program.network)

    @cached_property
    def _counted(self) -> tuple[Circuit, tuple[UncountedRequirement, ...]]:
        return counted(self.space)

    @cached_property
    def grammar(self) -> GrammarSpace | None:
        """Its architectures where it has grammars; raises UsageError where it has other choices besides."""
        return GrammarSpace(self.space) if self.space.grammars else None

    @property
    def circuit(self) -> Circuit:
        """Its architectures.

        Raises:
            UncountableError: it has a structure that is not counted.
        """
        return self._counted[0]

    @cached_property
    def weighted(self) -> WeightedWays:
        """The architectures of the network, by the weights of their items."""
        return WeightedWays(self.circuit, lambda path, item: self.space.decisions[path].probability(item))

    @cached_property
    def uncounted(self) -> Requirements:
        """The requirements that the circuit leaves out; those of the `train` section are with the last part."""
        required = [item.requirement for item in self._counted[1]]
        if self.is_last:
            stated = self.program.requirements
            required += [replace(item, network=about) for item, about in stated if item.origin is Origin.TRAIN]
        return Requirements(self.space, required)

    def completed(self, chosen: Selection) -> Selection:
        """Decisions with some item for each that does not exist, which derivation never writes."""
        return {**self._first, **chosen}

    @cached_property
    def _first(self) -> Selection:
        return default_decisions(self.space.decisions)


@dataclass(frozen=True, eq=False, repr=False)
class Architecture:
    """An architecture of a file: its decisions, and its number; None where those of a grammar have none.

    ``notes`` are the settings of its provenance that say how it was found.
    """

    listing: Architectures
    choices: Choices
    notes: Mapping[str, str]
    number: int | None = None

    @property
    def decisions(self) -> Selection:
        """The items of every decision that exists, by path."""
        return {path: items for part in self.choices for path, items in part.items()}

    @property
    def readable(self) -> dict[str, str]:
        """The architecture's decisions as readable items, by path."""
        return readable(self.listing.decisions, self.decisions)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The parts of the file, each as it is after what the ones before it decide here."""
        return tuple(self.listing.parts_after(self.choices))

    def __repr__(self) -> str:
        which = "" if self.number is None else f" {self.number}"
        return f"Architecture{which} of {self.listing.program.name}, {plural(len(self.decisions), 'decision')}"

    def _repr_svg_(self) -> str:
        from compiler.reports.svg import svg

        asked = self.listing.request  # The text is what says every number that was decided.
        return svg(Request(asked.path, text=self.text, externals=asked.externals).compile().network)

    @cached_property
    def text(self) -> str:
        """The text of the architecture, as a search that found it would write it, but for its provenance."""
        last = self.parts[-1]
        provenance = section({**origin(self.listing.program), **self.notes})
        chosen = last.completed(self.choices[-1])
        return print_module(derive_module(last.space, chosen, last.program.carried, provenance))

    @cached_property
    def verdict(self) -> Verdict:
        """How far it is from meeting the requirements that no count takes part in.

        Raises:
            UsageError: that is not known of it.
        """
        if not self.listing.uncounted:
            return Verdict()
        verdicts = (judge(p.uncounted, p.completed(made)) for p, made in zip(self.parts, self.choices, strict=True))
        return sum(verdicts, Verdict())


@dataclass(frozen=True, eq=False, repr=False)
class DrawnArchitecture(Architecture):
    """An architecture of a network with grammars, elaborated along its draw."""

    tree: Drawn = field(kw_only=True)

    @property
    def drawn(self) -> Elaborated:
        """Its network."""
        return self.tree.network

    @property
    def readable(self) -> dict[str, str]:
        """The architecture's trees as texts."""
        return self.tree.texts

    @cached_property
    def text(self) -> str:
        """The text of the architecture."""
        provenance = section({**origin(self.listing.program), **self.notes})
        return print_module(derive_module(self.drawn, {}, self.listing.program.carried, provenance))

    @cached_property
    def verdict(self) -> Verdict:
        """How far it is from meeting the requirements of its texts."""
        return judge(Requirements(self.drawn, self.drawn.requirements), {}) if self.drawn.requirements else Verdict()


class Architectures:
    """The architectures of a file that a command names, numbered from 0."""

    def __init__(self, request: Request) -> None:
        """Compile the file.

        Raises:
            HspError: the file is wrong.
        """
        self.request = request
        self.program = request.compile()
        phases = [phase for phase in self.program.phases if not phase.optional] or list(self.program.phases)
        names = [phase.name for phase in deciding(phases)] or [""]
        self.parts = tuple(Part(name, self.program, name == names[-1]) for name in names)

    @cached_property
    def number(self) -> int:
        """How many there are, before the requirements that only an architecture can be asked for.

        Raises:
            UncountableError: the file has a structure that is not counted.
        """
        return self.grammar.number if self.grammar else prod(part.circuit.number for part in self.parts)

    @cached_property
    def grammar(self) -> GrammarSpace | None:
        """The architectures of a file whose network has grammars.

        Raises:
            UsageError: it has other choices besides, or is searched in phases.
        """
        found = [part.grammar for part in self.parts if part.space.grammars]
        if found and len(self.parts) > 1:
            raise UsageError(f"'{self.program.name}' has a grammar in a file with several phases")
        return found[0] if found else None

    @cached_property
    def uncounted(self) -> str:
        """The requirements that the count leaves out, in the language; empty where there are none."""
        if self.grammar:
            return " and ".join(map(str, self.grammar.network.requirements))
        required = (str(item) for part in self.parts for item in part.uncounted.requirements)
        return " and ".join(dict.fromkeys(required))

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """Every decision of the file."""
        return {path: decision for part in self.parts for path, decision in part.space.decisions.items()}

    def choices(self, number: int) -> Choices:
        """The decisions of an architecture by its number.

        Raises:
            IndexError: there are not so many.
        """
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

    def found(self, choices: Choices, notes: Mapping[str, str]) -> Architecture:
        """An architecture by its decisions, part by part."""
        number = 0
        for part, own in zip(self.parts, choices, strict=True):
            number = number * part.circuit.number + rank_of(part.circuit, own)
        return Architecture(self, choices, notes, number)

    def drawn(self, source: Random, weighted: bool, notes: Mapping[str, str]) -> Architecture | None:
        """An architecture at random; None where a network with grammars does not fit what they derive.

        Raises:
            UncountableError: uniform draws need its number, which is not known.
        """
        if self.grammar:
            drawn = self.grammar.weighted(source) if weighted else self.grammar.uniform(source)
            return None if drawn is None else DrawnArchitecture(self, (drawn.selection,), notes, tree=drawn)
        if weighted:
            return self.found(tuple(part.weighted.draw(source) for part in self.parts), notes)
        return self.architecture(source.randrange(self.number), **notes)

    def parts_after(self, choices: Choices) -> Iterator[Part]:
        """Each part as it is after what the ones before it decide: its network is made of what they found."""
        found: dict[str, str] = {}
        for position, (part, chosen) in enumerate(zip(self.parts, choices, strict=True)):
            here = replace(part, program=self.request.compile(found)) if position else part
            yield here
            if not part.is_last:
                found[part.name] = print_module(derive_module(here.space, here.completed(chosen)))

    def require_some(self) -> None:
        """Refuse a file that has no architecture, or nothing to choose.

        Raises:
            UsageError: says which.
        """
        if not any(part.space.is_space for part in self.parts):
            raise UsageError(f"'{self.program.name}' is an architecture: there is nothing to choose in it")
        if not self.grammar and not self.number:  # A grammar may have too many to be counted.
            raise UsageError(f"'{self.program.name}' has no architecture: its requirements leave none")
