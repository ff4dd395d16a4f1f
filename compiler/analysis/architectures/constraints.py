"""Requirements that no count heeds: costs, and what `train` asks of its network. An architecture is asked for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.analysis.counting.count import Left
from compiler.analysis.requirements.evaluate import shortfall
from compiler.elaborate import Elaborated, Frame, Requirement
from compiler.program.compile_file import Program, compile_file
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

if TYPE_CHECKING:
    from .space_list import Architecture


@dataclass(frozen=True)
class Verdict:
    """How far an architecture is from meeting all requirements, 0 where it does, and the figures that say so."""

    distance: float
    reasons: tuple[str, ...] = ()


MET = Verdict(0.0)


@dataclass(frozen=True)
class Limits:
    """The conditions that an architecture must be asked for; what it has of others was counted with already."""

    conditions: tuple[str, ...]

    @staticmethod
    def of(program: Program, left: Sequence[Left]) -> Limits:
        """Those that counting left, and those of the `train` section."""
        train = program.train.settings if program.train is not None else ()
        conditions = [item.requirement.condition for item in left]
        conditions += [line.condition for line in train if isinstance(line, ast.Require)]
        return Limits(tuple(dict.fromkeys(map(print_expression, conditions))))

    def __bool__(self) -> bool:
        return bool(self.conditions)

    def __str__(self) -> str:
        return " and ".join(self.conditions)

    def judge(self, architecture: Architecture) -> Verdict:
        """Ask an architecture.

        Raises:
            UsageError: a requirement speaks of something that is not known of an architecture.
        """
        if not self.conditions:
            return MET
        program, diagnostics = compile_file(Path("architecture.hsp"), text=architecture.text)
        if program is None:
            raise HspError(diagnostics)
        distance, reasons = 0.0, []
        for requirement, network in _asked(program):
            condition = print_expression(requirement.condition)
            if condition not in self.conditions:
                continue
            missing = shortfall(requirement, network)
            if missing is None:
                raise UsageError(f"`require {condition}` cannot be checked: it is not known of an architecture")
            if missing:
                distance += missing
                reasons.append(condition)
        return Verdict(distance, tuple(reasons))


def _asked(program: Program) -> Iterator[tuple[Requirement, Elaborated]]:
    """The requirements of a file with the network that each is about."""
    for requirement in program.network.requirements:
        yield requirement, program.network
    network = program.train_network
    if network is not None and program.train is not None:
        frame = Frame.unrecorded(network.root.body)
        for line in program.train.settings:
            if isinstance(line, ast.Require):
                yield Requirement(line.condition, frame), network
