"""A file as a whole before any of its phases has run: later phases choose among all that earlier ones may derive."""

from __future__ import annotations

from dataclasses import dataclass

from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree.printer import print_module

from .model import Phase, Program
from .request import Request
from .stand_in import whole


@dataclass(frozen=True, eq=False)
class OpenPhases:
    """A program whose later phases are made of the spaces of earlier ones instead of their results.

    ``fixed`` names the phases whose space cannot take that place: their first architecture does, as in any program.
    """

    program: Program
    fixed: frozenset[str] = frozenset()

    def fixed_before(self, phase: Phase) -> tuple[str, ...]:
        """The phases of whose results, of all that a phase is made of, only the first architecture is considered."""
        before = {phase.name: phase.after for phase in self.program.phases}
        found, pending = set[str](), [*phase.after]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += before[name]
        return tuple(name for name in before if name in found & self.fixed)


def open_phases(request: Request) -> OpenPhases:
    """The program of a request whose later phases are open in all that earlier phases decide.

    Raises:
        HspError: the file is wrong.
    """
    program = request.compile()
    used = {name for phase in program.phases for name in phase.after}
    found: dict[str, str] = {}
    fixed = set[str]()
    for name in (phase.name for phase in program.phases if phase.name in used):
        phase = next(phase for phase in program.phases if phase.name == name)
        try:
            trial = {**found, name: print_module(whole(phase.network))}
            program, found = request.compile(trial), trial
        except HspError:
            fixed.add(name)
    return OpenPhases(program, frozenset(fixed))
