"""A compiled file as data: its network, its phases, their settings. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from compiler.derivation.training import Training
from compiler.elaborate import Elaborated, Origin, Requirement
from compiler.searcher.settings.derivation import Menus
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.words import Value
from hdas_dsl.text.diagnostics import Diagnostic
from hdas_dsl.text.source import NOWHERE, Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance, Unit

from .equivalence import Equivalence
from .methods import Chosen


@dataclass(frozen=True, eq=False)
class Phase:
    """One search: a network with arguments and settings. ``after`` names the phases whose result it uses."""

    name: str
    network: Elaborated
    settings: SearchSettings
    after: tuple[str, ...] = ()
    optional: bool = False
    span: Span = NOWHERE
    target: ast.Expr | None = None
    """The network as the section names it."""
    statements: tuple[ast.SettingLine, ...] = ()
    """The preferences and requirements of the section, its method and the phase."""
    values: Mapping[str, tuple[Value, Span]] = field(default_factory=dict)
    """The settings as the texts give them, each with the place of its line."""
    built: Elaborated | None = None
    """The network as the search builds it, where it is not ``network``: partial channels, additions."""

    def place(self, name: str) -> Span:
        """The place of a setting in the file, or of the phase."""
        return self.values[name][1] if name in self.values else self.span

    @property
    def is_as_written(self) -> bool:
        """Whether all settings that the texts give are in force: a wrong one has its default instead."""
        former = self.settings.former()
        return self.settings.model_fields_set >= {former.get(name, name) for name in self.values}

    @property
    def needs(self) -> tuple[str, ...]:
        """The phases that have to be finished before it: those whose result it uses, or whose weights."""
        weights = (name for name in (self.settings.start.after, self.settings.teacher.after) if name is not None)
        return tuple(dict.fromkeys((*self.after, *weights)))

    @property
    def leaves_choices(self) -> bool:
        """Whether later phases still choose in what it derives."""
        return isinstance(self.settings.derive, Menus)


def deciding(phases: Sequence[Phase]) -> list[Phase]:
    """The phases whose decisions make the result of these phases in order: the last one, and those it builds on.

    A phase that leaves its choices to later ones decides nothing, nor does a phase that leaves only weights.
    """
    found: list[Phase] = []
    wanted = {phase.name for phase in phases[-1:]}
    for phase in reversed(phases):
        if phase.name in wanted:
            wanted.update(phase.after)
            found += [] if found and phase.leaves_choices else [phase]
    return found[::-1]


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled file. Without phases it is an architecture, or a space without a search: ``network``."""

    name: str
    instance: Instance
    network: Elaborated
    phases: tuple[Phase, ...]
    settings: SearchSettings
    train: ast.Train | None
    train_network: Elaborated | None
    train_settings: TrainSettings
    warnings: tuple[Diagnostic, ...] = ()
    equivalences: tuple[Equivalence, ...] = ()
    trained: tuple[Requirement, ...] = ()
    """The requirements of the `train` section, about `train_network` or the network that a requirement names."""
    method: Chosen | None = None
    """The method that the search names."""
    results: Mapping[str, Instance] = field(default_factory=dict)
    """The files in which the names of phases are looked up."""

    @property
    def carried(self) -> Training | None:
        """The `train` section as architectures take it along."""
        return None if self.train is None else Training(self.train, self.instance, self.results)

    @property
    def networks(self) -> tuple[Elaborated, ...]:
        """The network of each phase; without phases the only network."""
        return tuple(phase.network for phase in self.phases) or (self.network,)

    @property
    def requirements(self) -> tuple[tuple[Requirement, Elaborated], ...]:
        """Every requirement of the file, wherever it is written, with the network that it is about."""
        stated = [
            (item, space) for space in self.networks for item in space.requirements if item.origin is not Origin.TRAIN
        ]
        trained = [(item, item.network or self.train_network or self.network) for item in self.trained]
        return (*stated, *trained)

    def place(self, name: str) -> Span:
        """The place of a setting of the `train` section, or of the section; nowhere without one."""
        if self.train is None:
            return NOWHERE
        lines = [line for line in self.train.settings if isinstance(line, ast.Setting) and line.name == name]
        return lines[-1].span if lines else self.train.span

    @property
    def searched(self) -> Phase | None:
        """The phase that searches ``network``; None where no phase does."""
        return next((phase for phase in self.phases if phase.network is self.network), None)

    @property
    def is_space(self) -> bool:
        """Whether a network still has choices."""
        return any(phase.network.is_space for phase in self.phases) or self.network.is_space

    @property
    def named_phases(self) -> bool:
        """Whether the file names phases."""
        return any(phase.name for phase in self.phases)

    @property
    def unit(self) -> Unit:
        """The file."""
        return self.instance.unit
