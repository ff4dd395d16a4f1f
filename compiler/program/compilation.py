"""The state that the readers of one file share: the file, the overrides, and the diagnostics so far."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from compiler.elaborate import Building, Elaborated, NetworkCall
from compiler.elaborate.building import AS_WRITTEN
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Diagnostic, Severity
from hdas_dsl.units import Instance, Unit

from .elaborations import Elaborations
from .overrides import Override


@dataclass(eq=False)
class Compilation:
    """One file on its way to a `Program`.

    Attributes:
        loader: reads the file, and what is read beside it: a derived phase, a recipe.
        instance: the file.
        overrides: values of the command line.
        externals: the primitives and plugins that external operations may name.
        used: the overrides that named something, as messages quote them.
        diagnostics: what is wrong so far, each once.
        known: what was elaborated before.
    """

    loader: Loader
    instance: Instance
    overrides: Sequence[Override] = ()
    externals: Externals = NO_PLUGINS
    used: set[str] = field(default_factory=set)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    known: Elaborations | None = None

    @cached_property
    def elaborations(self) -> Elaborations:
        """The networks of the file as they were elaborated."""
        return self.known or Elaborations(self.instance)

    def elaborate(
        self, call: NetworkCall, relaxed_copies: frozenset[str] | None = None, building: Building = AS_WRITTEN
    ) -> tuple[Elaborated | None, list[Diagnostic]]:
        """A network that is called, and all that is wrong with it."""
        return self.elaborations.elaborate(call, relaxed_copies, self.externals, building)

    @property
    def unit(self) -> Unit:
        """The file."""
        return self.instance.unit

    def report(self, found: Iterable[Diagnostic]) -> None:
        """Add diagnostics that are not reported yet."""
        for diagnostic in found:
            if diagnostic not in self.diagnostics:
                self.diagnostics.append(diagnostic)

    def use(self, overrides: Iterable[Override]) -> None:
        """Note overrides that named a parameter or a setting."""
        self.used.update(item.said for item in overrides)

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """The warnings so far."""
        return tuple(item for item in self.diagnostics if item.severity is Severity.WARNING)
