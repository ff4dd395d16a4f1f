"""`hdas sample FILE N`, or `hdas-compile FILE --sample N`: architectures drawn at random."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compiler.util.errors import UsageError

from .architecture_files import ArchitectureFiles
from .command import Command
from .console import OK
from .groups import Source, network_option, seed_option
from .option import action_value, flag, group
from .values import whole

MOST_DRAWN = 100_000
"""How many files are written at once; other seeds give others."""


@dataclass(frozen=True, kw_only=True)
class Sample(Command):
    """Draw architectures independently, uniformly or by weights, over those of a file that meet its requirements."""

    name: ClassVar[str] = "sample"
    action: ClassVar[str | None] = "--sample"
    summary: ClassVar[str] = "draw N architectures"
    answer: ClassVar[str] = "Architectures"

    source: Source = group(Source)
    number: int = action_value("N", "how many are drawn", read=whole)
    output: ArchitectureFiles = group(ArchitectureFiles)
    seed: int = seed_option("the seed of the draws: equal seeds give equal texts")
    weighted: bool = flag("--weighted", "draw by the weights of items, not uniformly")
    network: str | None = network_option()

    def run(self) -> int:
        """Print one architecture, or write several."""
        if self.number < 1:
            raise UsageError(f"N is {self.number}: at least one architecture is drawn")
        if self.number > MOST_DRAWN:
            raise UsageError(f"N is {self.number}: at most {MOST_DRAWN:,} architectures are drawn at once")
        if self.number > 1 and self.output.folder is None and not self.output.json:
            raise UsageError(f"{self.number} architectures are as many files: name their folder with --out DIR")
        from compiler.analysis.architectures import Architectures, sample

        width = len(str(self.number - 1))
        drawn = sample(Architectures(self.source.request(network=self.network)), self.number, self.seed, self.weighted)
        self.output.write((f"sample-{index:0{width}}", found) for index, found in enumerate(drawn))
        return OK
