"""The command of the soak: how many cases of each kind, which went wrong, and where the count is kept."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

from compiler.util.files import atomic_write

from .case import Case, Check, Kind
from .genotypes import check_genotype
from .kills import check_kill
from .run_files import check_run_file
from .runs import load_modules
from .texts import check_text
from .worker import Limits, found, outcomes

CHECKS: dict[Kind, tuple[Check, Limits, int]] = {
    Kind.TEXT: (check_text, Limits(cpu=10), 1000),
    Kind.GENOTYPE: (check_genotype, Limits(), 50),
    Kind.RUN_FILE: (check_run_file, Limits(cpu=30, wall=600, memory=4 << 30), 5),
    Kind.KILL: (check_kill, Limits(cpu=60, wall=1200, memory=4 << 30), 2),
}
"""The check of each kind, what a case may take, and how many a round has."""


class Failure(BaseModel):
    """A case that is wrong, and how."""

    kind: Kind
    number: int
    wrong: str


class Record(BaseModel):
    """What was tried up to now, and what was wrong."""

    seed: int
    done: dict[Kind, int] = Field(default_factory=lambda: dict.fromkeys(Kind, 0))
    seconds: dict[Kind, float] = Field(default_factory=lambda: dict.fromkeys(Kind, 0.0))
    failures: list[Failure] = []
    rounds: int = 0

    def table(self) -> str:
        """How many of each kind, which failed, and how a failure is repeated."""
        lines = ["| kind | cases | failures | minutes |", "|---|---|---|---|"]
        for kind in Kind:
            failed = sum(failure.kind is kind for failure in self.failures)
            lines.append(f"| {kind} | {self.done[kind]:,} | {failed} | {self.seconds[kind] / 60:.1f} |")
        for failure in self.failures:
            lines.append(f"--only {failure.kind} {failure.number} --seed {self.seed}: {failure.wrong}")
        return "\n".join(lines)


def soak(record: Record, path: Path | None, rounds: int | None, until: float) -> None:
    """Go on with a record, round by round, until so many are done or the time is over; write it after each."""
    load_modules()  # Before the first process is forked: loading torch in each would take longer than its cases.
    while time.monotonic() < until and (rounds is None or record.rounds < rounds):
        for kind in Kind:
            one_round(record, kind)
        record.rounds += 1
        if path is not None:
            atomic_write(path, record.model_dump_json(indent=2) + "\n")


def one_round(record: Record, kind: Kind) -> None:
    """The cases of one kind in one round."""
    check, limits, count = CHECKS[kind]
    since, first = time.monotonic(), record.done[kind]
    for outcome in outcomes(check, [Case(record.seed, kind, n) for n in range(first, first + count)], limits):
        record.done[kind] += 1
        if outcome.wrong is not None:
            record.failures.append(Failure(kind=kind, number=outcome.case.number, wrong=outcome.wrong))
            print(f"{kind} {outcome.case.number}: {outcome.wrong}", file=sys.stderr, flush=True)
    record.seconds[kind] += time.monotonic() - since


def main(about: str, words: Sequence[str] | None = None) -> int:
    """Run the soak, or one case of it; ``about`` is what its help says."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60, help="how long, up to the end of a round")
    parser.add_argument("--rounds", type=int, help="how many rounds, those of the record included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="where the count is kept; goes on with it where it is there")
    parser.add_argument("--only", nargs=2, metavar=("KIND", "NUMBER"), help="one case, in this process")
    args = parser.parse_args(words)
    if args.only:
        kind = Kind(args.only[0])
        wrong = found(CHECKS[kind][0], Case(args.seed, kind, int(args.only[1])))
        print(wrong or "nothing is wrong")
        return int(wrong is not None)
    path: Path | None = args.record
    kept = path is not None and path.is_file()
    record = Record.model_validate_json(path.read_text()) if path and kept else Record(seed=args.seed)
    if record.seed != args.seed:
        parser.error(f"{path} counts cases of the seed {record.seed}")
    soak(record, path, args.rounds, time.monotonic() + 60 * args.minutes)
    print(record.table())
    return int(bool(record.failures))
