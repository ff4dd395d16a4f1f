"""`hdas enumerate FILE`, or `hdas-compile FILE --enumerate`: all architectures, one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from compiler.util.errors import UsageError

from .architecture_files import ArchitectureFiles, answer_of
from .command import Command
from .console import OK
from .groups import Source, network_option
from .json_output import put_json
from .option import group, option
from .output import line
from .values import whole

MOST_WITHOUT_LIMIT = 10_000
"""So many architectures are listed without a limit that asks for them."""


@dataclass(frozen=True, kw_only=True)
class Enumerate(Command):
    """List the architectures of a file that meet its requirements: a line for each, or with --out a file."""

    name: ClassVar[str] = "enumerate"
    action: ClassVar[str | None] = "--enumerate"
    summary: ClassVar[str] = "list all architectures; files with --out"
    answer: ClassVar[str] = "Architectures"
    idle: ClassVar[dict[str, str]] = {"--seed": "nothing is random in a list of all architectures"}

    source: Source = group(Source)
    limit: int | None = option("--limit", "N", "list only the first N", read=whole, otherwise="all, if at most 10,000")
    output: ArchitectureFiles = group(ArchitectureFiles)
    network: str | None = network_option()

    def run(self) -> int:
        """Print or write them in the order of their numbers."""
        if self.limit is not None and self.limit < 1:
            raise UsageError(f"--limit {self.limit}: at least one architecture is listed")
        from compiler.analysis.architectures import Architectures, enumerate_all

        listing = Architectures(self.source.request(network=self.network))
        if self.limit is None and listing.number > MOST_WITHOUT_LIMIT:
            name, number = listing.program.name, listing.number
            raise UsageError(f"'{name}' has {number:,} architectures: --limit N lists the first N")
        width = len(str(listing.number - 1))
        every = enumerate_all(listing, self.limit)
        if self.output.folder is not None:
            self.output.write((f"{found.number:0{width}}", found) for found in every)
        elif self.output.json:
            put_json(answer_of(((found, None) for found in every), with_text=False))
        else:
            for found in every:
                line(f"{found.number}: {', '.join(f'{path} = {items}' for path, items in found.readable.items())}")
        return OK
