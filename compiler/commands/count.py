"""`hdas count FILE`, or `hdas-compile FILE --count`: how many architectures there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import Source, network_option, seed_option
from .option import group, option
from .output import line


@dataclass(frozen=True, kw_only=True)
class CountArchitectures(Command):
    """Count the architectures of a file: exactly where that is possible, else with an estimate."""

    name: ClassVar[str] = "count"
    action: ClassVar[str | None] = "--count"
    summary: ClassVar[str] = "how many architectures there are"

    source: Source = group(Source)
    unique: str = option(
        "--unique",
        "KIND",
        "count up to an equivalence: isomorphic, pruned, functional, or one of the file",
        default="",
        otherwise="all are counted",
    )
    seed: int = seed_option("the seed of the sample that an estimate comes from")
    network: str | None = network_option()

    def run(self) -> int:
        """Print the number."""
        from compiler.analysis.architectures import Architectures, count

        line(count(Architectures(self.source.request(network=self.network)), self.seed, self.unique).render())
        return OK
