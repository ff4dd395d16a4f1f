"""`hdas-measure`: a table of the latencies of a space's operations on this machine."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hdas_dsl.text.diagnostics import HspError

from .console import INTERRUPTED, OK, WRONG_FILE, WRONG_USAGE, Parser, show, trouble

if TYPE_CHECKING:
    from compiler.analysis.costs.latency_table import Table
    from compiler.elaborate import Elaborated
    from compiler.program.compile_file import Program

SLOWEST = 5
"""How many of the slowest operations are shown."""


def parser() -> argparse.ArgumentParser:
    """The command line of `hdas-measure`."""
    made = Parser(
        prog="hdas-measure",
        description="Measure how long each operation of a space takes on this machine's CPU, in inference.",
        allow_abbrev=False,
    )
    made.add_argument("file", metavar="FILE", help="a .hsp file, or - for standard input")
    made.add_argument("-o", "--out", metavar="TABLE", type=Path, help="a .csv file; rows that it has are kept")
    made.add_argument("--force", action="store_true", help="measure everything anew")
    made.add_argument("--network", metavar="NAME", help="which network, where the file has several")
    made.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the network")
    made.add_argument(
        "--allow-plugin", action="append", default=[], metavar="MODULE|FILE", help="a module of your own operations"
    )
    made.add_argument("--batch", type=int, default=1, metavar="N", help="how many images at once (1)")
    made.add_argument("--threads", type=int, default=1, metavar="N", help="threads of torch (1)")
    made.add_argument("--rounds", type=int, default=51, metavar="N", help="turns of each operation (51)")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """`hdas-measure`."""
    args = parser().parse_args(argv)
    from compiler.analysis.costs.latency_table import BadTable
    from compiler.analysis.costs.prices import Undefined
    from compiler.util.errors import LoweringError, UsageError

    try:
        return _measure(args)
    except HspError as error:
        show(error.diagnostics)
        return WRONG_FILE
    except LoweringError as error:
        return trouble("hdas-measure", str(error), WRONG_FILE)
    except (UsageError, Undefined, BadTable) as error:
        return trouble("hdas-measure", str(error), WRONG_USAGE)
    except OSError as error:
        return trouble("hdas-measure", f"'{error.filename}' cannot be written: {error.strerror}", WRONG_USAGE)
    except KeyboardInterrupt:
        return trouble("hdas-measure", "interrupted", INTERRUPTED)


def _measure(args: argparse.Namespace) -> int:
    from compiler.analysis.costs.cost_polynomial import Costing
    from compiler.analysis.costs.elimination import Variables, range_of
    from compiler.analysis.costs.latency_table import Table, read_table
    from compiler.analysis.costs.prices import Latency
    from compiler.backend.plugins import allow
    from compiler.program.compile_file import read_override
    from compiler.program.request import Request
    from compiler.runs.measure_latency import Conditions, calibration, measure, measure_whole, operations
    from compiler.util.errors import UsageError

    for name in ("batch", "threads", "rounds"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} {getattr(args, name)}: it is at least 1")
    text = sys.stdin.read() if args.file == "-" else None
    path = Path("<stdin>" if args.file == "-" else args.file)
    if text is None and not path.is_file():
        raise UsageError(f"there is no file '{path}'")
    program = Request(
        path, tuple(map(read_override, args.set)), args.network, text, externals=allow(args.allow_plugin)
    ).compile()
    spaces = networks(program)
    wanted = operations(spaces)
    how = Conditions(args.batch, args.threads, args.rounds)
    known = read_table(args.out, str(args.out)) if args.out and args.out.is_file() and not args.force else None
    if known is not None:
        for fact in ("batch", "threads"):
            if known.facts.get(fact) != how.facts[fact]:
                there = known.facts.get(fact, "unknown")
                raise UsageError(f"'{args.out}' was measured with {fact} = {there}: --force measures everything anew")
        wanted = {signature: found for signature, found in wanted.items() if signature not in known.milliseconds}
    measured = measure(wanted, how)
    searched = [space for space in spaces if space.is_space]
    if known is not None:
        measured = measured.scaled(float(known.facts.get("scale", 1)))
    elif searched:
        measured = measured.scaled(calibration(searched[0], measured, how))
    kept = known.milliseconds if known is not None else {}
    table = Table(str(args.out or "measured"), {**kept, **measured.milliseconds}, measured.facts)
    if args.out is not None:
        table.write(args.out)
    _tell(table, len(measured.milliseconds), len(kept))
    for space in spaces:
        span = range_of(Costing(space).formula(Latency(table)), Variables(space.decisions))
        low, high = (f"{end:.4g} ms" for end in (span.low, span.high))
        if space.is_space:
            print(f"{space.name}: {low} to {high} by the table")
        else:
            print(f"{space.name}: {low} by the table, {measure_whole(space, how):.4g} ms as a whole")
    return OK


def networks(program: Program) -> list[Elaborated]:
    """The networks of a file, as they are searched and as they are trained."""
    spaces = [phase.network for phase in program.phases] or [program.network]
    spaces += [item.network for space in spaces for item in space.requirements if item.network is not None]
    if program.train_network is not None:
        spaces.append(program.train_network)
    return spaces


def _tell(table: Table, measured: int, kept: int) -> None:
    """What was measured, and the slowest operations."""
    facts = ", ".join(f"{name} {value}" for name, value in table.facts.items())
    before = f", {kept} kept" if kept else ""
    print(f"{table.name}: {measured} operations measured{before} ({facts})")
    for signature, value in sorted(table.milliseconds.items(), key=lambda row: (-row[1], row[0]))[:SLOWEST]:
        print(f"  {value:10.4f} ms  {signature}")
