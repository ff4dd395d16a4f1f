"""`--method auto`: the method that suits a space, by what its choices choose; docs/finds.md has the measurements.

A supernet adds up all that a choice may take. Where choices are of operations, numbers and sizes, one item is left of
each sum, and the weights of `snas` rank them, mostly by size. Where inputs are picked, the sum of all says little of
the few that are left, and architectures are trained one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from compiler.ir.decision import Decision, DecisionKind
from compiler.searcher.settings.words import Applied

from .methods import SETTING
from .model import Program
from .overrides import Override

BY_SUPERNET = "snas"
BY_TRAININGS = "tse_predictor"


@dataclass(frozen=True)
class Suited:
    """A method, and why it suits a space, as a message says it."""

    method: str
    why: str

    def overrides(self, stated: Sequence[Override]) -> tuple[Override, ...]:
        """The overrides of the command line with this method instead of `auto`."""
        return tuple(replace(o, value=Applied(self.method)) if o.name == SETTING else o for o in stated)


def suited(program: Program) -> Iterator[Suited]:
    """The methods that suit the networks of a search, the best first; the next where one does not go with the file."""
    decisions = {path: each for network in program.networks for path, each in network.decisions.items()}
    picks = [path for path, decision in decisions.items() if _picks(decision)]
    if phases := [phase.name for phase in program.phases if phase.after]:
        yield Suited(
            BY_SUPERNET, f"'{phases[0]}' builds on an earlier phase, whose architectures cannot be trained alone"
        )
    elif any(network.refusals for network in program.networks):
        yield Suited(BY_TRAININGS, "its choices cannot be relaxed to a supernet")
    elif picks:
        yield Suited(BY_TRAININGS, f"'{picks[0]}' picks inputs, which a supernet ranks hardly better than chance")
    elif program.requirements:
        yield Suited(BY_TRAININGS, "`require` leaves out large architectures, and large ones are what a supernet finds")
    else:
        yield Suited(BY_SUPERNET, "choices are of operations, numbers and sizes, which a supernet ranks")
        yield Suited(BY_TRAININGS, f"`{BY_SUPERNET}` does not go with the settings of the file")


def _picks(decision: Decision) -> bool:
    """Whether a decision picks some of several inputs."""
    return decision.kind is DecisionKind.PICK and decision.least < len(decision.items)
