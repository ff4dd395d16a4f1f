"""`hdas measure FILE`, or `hdas-measure FILE`: a table of the latencies of a space's operations on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK
from .groups import Source, network_option
from .json_output import json_flag, put_json
from .option import flag, group, option
from .output import line
from .program import run_program
from .values import at_least, between

if TYPE_CHECKING:
    from compiler.analysis.costs.latency_table import Table
    from compiler.elaborate import Elaborated
    from compiler.program.model import Program
    from compiler.program.open_phases import OpenPhases
    from compiler.runs.measure_latency import Conditions

    from .answers import Measured

SLOWEST = 5
"""How many of the slowest operations are shown."""

MOST_THREADS = 1_024
"""More threads than this end a process where the system cannot start them."""

MOST_ROUNDS = 100_000
"""More turns than this tell nothing about a median that fewer do not."""


@dataclass(frozen=True, kw_only=True)
class Measure(Command):
    """Measure how long each operation of a space takes on this machine's CPU, in inference."""

    name: ClassVar[str] = "measure"
    summary: ClassVar[str] = "a table of the latencies of a space's operations here"
    answer: ClassVar[str] = "Measured"
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    out: Path | None = option(
        "-o", "--out", "TABLE", "a .csv file; rows that it has are kept", read=Path, otherwise="none is written"
    )
    force: bool = flag("--force", "measure everything anew")
    json: bool = json_flag()
    network: str | None = network_option()
    batch: int = option("--batch", "N", "how many images at once", read=at_least(1), default=1)
    threads: int = option("--threads", "N", "threads of torch", read=between(1, MOST_THREADS), default=1)
    rounds: int = option("--rounds", "N", "turns of each operation", read=between(1, MOST_ROUNDS), default=51)

    def run(self) -> int:
        """Measure what the table lacks, write it, and print the range of each network by it."""
        request = self.source.request(network=self.network)
        from compiler.program.open_phases import open_phases

        found = open_phases(request)
        known = self._known()
        from compiler.runs.measure_latency import Conditions

        how = Conditions(self.batch, self.threads, self.rounds)
        spaces = networks(found.program)
        measured = _measured(spaces, how, known)
        kept = known.milliseconds if known is not None else {}
        from compiler.analysis.costs.latency_table import Table

        table = Table(str(self.out or "measured"), {**kept, **measured.milliseconds}, measured.facts)
        if self.out is not None:
            table.write(self.out)
        ranges = [_range(space, table, how, found) for space in spaces]
        if self.json:
            put_json(_answer(self.out, table, ranges))
            return OK
        _print_table(table, len(measured.milliseconds), len(kept))
        for network in ranges:
            line(_sentence(network))
        return OK

    def _known(self) -> Table | None:
        """The table that is there already, measured in the same way."""
        from compiler.analysis.costs.latency_table import read_table

        if self.out is None or not self.out.is_file() or self.force:
            return None
        known = read_table(self.out, str(self.out))
        for fact, wanted in (("batch", self.batch), ("threads", self.threads)):
            if known.facts.get(fact) != str(wanted):
                there = known.facts.get(fact, "unknown")
                raise UsageError(f"'{self.out}' was measured with {fact} = {there}: --force measures everything anew")
        return known


def networks(program: Program) -> list[Elaborated]:
    """The networks of a file, as they are searched and as they are trained."""
    spaces = list(program.networks)
    spaces += [item.network for space in spaces for item in space.requirements if item.network is not None]
    if program.train_network is not None:
        spaces.append(program.train_network)
    return spaces


def _measured(spaces: Sequence[Elaborated], how: Conditions, known: Table | None) -> Table:
    """The operations that no table knows yet, at the scale of the table that there is."""
    from compiler.runs.measure_latency import calibration, measure, operations

    wanted = operations(spaces)
    if known is not None:
        wanted = {signature: found for signature, found in wanted.items() if signature not in known.milliseconds}
        return measure(wanted, how).scaled(float(known.facts.get("scale", 1)))
    measured = measure(wanted, how)
    searched = [space for space in spaces if space.is_space]
    return measured.scaled(calibration(searched[0], measured, how)) if searched else measured


def _print_table(table: Table, measured: int, kept: int) -> None:
    """A summary of the measurement, and the slowest operations."""
    facts = ", ".join(f"{name} {value}" for name, value in table.facts.items())
    before = f", {kept} kept" if kept else ""
    line(f"{table.name}: {measured} operations measured{before} ({facts})")
    for signature, value in sorted(table.milliseconds.items(), key=lambda row: (-row[1], row[0]))[:SLOWEST]:
        line(f"  {value:10.4f} ms  {signature}")


def _range(space: Elaborated, table: Table, how: Conditions, found: OpenPhases) -> Measured.Network:
    """A network's latencies by the table, and that as a whole where it is an architecture."""
    from compiler.analysis.costs.cost_polynomial import Costing
    from compiler.analysis.costs.elimination import Variables, range_of
    from compiler.analysis.costs.prices import Latency
    from compiler.runs.measure_latency import measure_whole

    from .answers import Measured

    span = range_of(Costing(space).formula(Latency(table)), Variables(space.decisions))
    phase = next((phase for phase in found.program.phases if phase.network is space and phase.name), None)
    return Measured.Network(
        name=space.name,
        phase=None if phase is None else phase.name,
        after=() if phase is None else phase.after,
        first=() if phase is None else found.fixed_before(phase),
        low=float(span.low),
        high=float(span.high),
        whole=None if space.is_space else measure_whole(space, how),
    )


def _sentence(network: Measured.Network) -> str:
    """The latencies of a network; of a phase that comes after others, for which of their results they hold."""
    name = network.name if network.phase is None else f"{network.name} of phase '{network.phase}'"
    if network.whole is None:
        sentence = f"{name}: {network.low:.4g} ms to {network.high:.4g} ms by the table"
    else:
        sentence = f"{name}: {network.low:.4g} ms by the table, {network.whole:.4g} ms as a whole"
    if after := [name for name in network.after if name not in network.first]:
        sentence += f", whatever {_quoted(after)} may find"
    if network.first:
        sentence += f", with the first architecture of {_quoted(network.first)}: what it will find is not known yet"
    return sentence


def _quoted(names: Sequence[str]) -> str:
    """The names of phases in a sentence."""
    return " and ".join(f"'{name}'" for name in names)


def _answer(out: Path | None, table: Table, ranges: Sequence[Measured.Network]) -> Measured:
    """The answer of the command: the measured latencies."""
    from .answers import Measured

    return Measured(
        table=None if out is None else str(out),
        facts=dict(table.facts),
        milliseconds=dict(table.milliseconds),
        networks=tuple(ranges),
    )


def main(words: Sequence[str] | None = None) -> int:
    """`hdas-measure`."""
    return run_program("hdas-measure", Measure, words)
