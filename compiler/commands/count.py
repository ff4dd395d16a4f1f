"""`hdas count FILE`, or `hdas-compile FILE --count`: how many architectures there are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import Source, network_option, seed_option
from .json_output import json_flag, put_json
from .option import group, option
from .output import line
from .values import at_least


@dataclass(frozen=True, kw_only=True)
class CountArchitectures(Command):
    """Count the architectures of a file: exactly where that is possible, else with an estimate."""

    name: ClassVar[str] = "count"
    action: ClassVar[str | None] = "--count"
    summary: ClassVar[str] = "how many architectures there are"
    answer: ClassVar[str] = "Counted"

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
    json: bool = json_flag()
    network: str | None = network_option()

    def run(self) -> int:
        """Print the number."""
        from compiler.analysis.architectures import Architectures, count
        from compiler.reports.facts import digits

        listing = Architectures(self.source.request(network=self.network))
        found = count(listing, self.seed, self.unique, self.graphs)
        if not self.json:
            line(found.render())
            return OK
        from .answers import Counted

        known, sampled = found.exact, found.exact is None and not found.same
        put_json(
            Counted(
                number=digits(found.number),
                exact=None if known is None else digits(known),
                estimate=found.estimate if sampled else None,
                unchecked=found.unchecked,
                same=found.same,
            )
        )
        return OK
