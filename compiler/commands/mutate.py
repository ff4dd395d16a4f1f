"""`hdas mutate FILE ARCH`, or `hdas-compile FILE --mutate ARCH`: an architecture with one choice changed."""

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
class Mutate(Command):
    """Change one choice of an architecture, and the decisions that depend on it, within the space of a file."""

    name: ClassVar[str] = "mutate"
    action: ClassVar[str | None] = "--mutate"
    summary: ClassVar[str] = "change one choice of an architecture"
    answer: ClassVar[str] = "Architectures"

    source: Source = group(Source)
    parent: Path = action_value("ARCH", "an architecture of the space", read=Path)
    output: ArchitectureFiles = group(ArchitectureFiles)
    seed: int = seed_option("the seed of the change: equal seeds give equal texts")
    network: str | None = network_option()

    def run(self) -> int:
        """Print the mutant, or write it as ``mutant.hsp``."""
        request, parent = self.source.request(network=self.network), existing(self.parent)
        from compiler.analysis.architectures import Architectures, mutate
        from compiler.program.request import Request

        self.output.write([("mutant", mutate(Architectures(request), Request(parent), self.seed))])
        return OK
