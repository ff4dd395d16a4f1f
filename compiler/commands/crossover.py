"""`hdas crossover FILE A B`, or `hdas-compile FILE --crossover A B`: a child of two architectures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .architecture_files import ArchitectureFiles
from .command import Command
from .console import OK
from .groups import Source, existing, network_option, seed_option
from .option import action_value, group


@dataclass(frozen=True, kw_only=True)
class Crossover(Command):
    """Take each choice of an architecture from one of two others, within the space of a file."""

    name: ClassVar[str] = "crossover"
    action: ClassVar[str | None] = "--crossover"
    summary: ClassVar[str] = "a child of two architectures"
    answer: ClassVar[str] = "Architectures"

    source: Source = group(Source)
    parents: tuple[Path, Path] = action_value("A B", "two architectures of the space", read=Path, count=2)
    output: ArchitectureFiles = group(ArchitectureFiles)
    seed: int = seed_option("the seed of the choices: equal seeds give equal texts")
    network: str | None = network_option()

    def run(self) -> int:
        """Print the child, or write it as ``child.hsp``."""
        request, (left, right) = self.source.request(network=self.network), map(existing, self.parents)
        from compiler.analysis.architectures import Architectures, crossover
        from compiler.program.request import Request

        child = crossover(Architectures(request), Request(left), Request(right), self.seed)
        self.output.write([("child", child)])
        return OK
