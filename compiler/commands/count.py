"""`hdas count FILE`, or `hdas-compile FILE --count`: how many architectures there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import Source, network_option, seed_option
from .option import group, option
from .output import line
from .values import at_least


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
    graphs: int = option(
        "--graphs",
        "N",
        "with --unique, how many graphs of one cell or stage are compared at most",
        read=at_least(1),
        default=20_000,
    )
    seed: int = seed_option("the seed of the sample that an estimate comes from")
    network: str | None = network_option()

    def run(self) -> int:
        """Print the number."""
        from compiler.analysis.architectures import Architectures, count

        line(
            count(
                Architectures(self.source.request(network=self.network)), self.seed, self.unique, self.graphs
            ).render()
        )
        return OK
