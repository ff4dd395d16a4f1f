"""Everything that may go wrong, at random and for hours: mutated texts and genotypes, killed runs, damaged files.

    python bench/soak.py --minutes 60 [--seed 0] [--rounds N] [--record soak.json]
    python bench/soak.py --only text 1234 --seed 0

A round has 1000 mutated texts, 50 genotypes, 5 damaged files of runs and a run that is killed. With a record the count
goes on where an earlier call ended. A failure is repeated by the second form, which prints what is wrong with one
case. `docs/promises.md` says what is promised; the checks lie in `tests/support/soak/`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, Field

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # The checks and generators are those of the tests.

from compiler.util.files import atomic_write  # noqa: E402
from tests.support.soak.case import Case, Check, Kind  # noqa: E402
from tests.support.soak.genotypes import check_genotype  # noqa: E402
from tests.support.soak.kills import check_kill  # noqa: E402
from tests.support.soak.run_files import check_run_file  # noqa: E402
from tests.support.soak.runs import scratch  # noqa: E402
from tests.support.soak.texts import check_text  # noqa: E402
from tests.support.soak.worker import Limits, found, outcomes  # noqa: E402

CHECKS: dict[Kind, tuple[Check, Limits, int]] = {
    Kind.TEXT: (check_text, Limits(cpu=10), 1000),
    Kind.GENOTYPE: (check_genotype, Limits(), 50),
    Kind.RUN_FILE: (check_run_file, Limits(cpu=30, wall=600, memory=4 << 30), 5),
    Kind.KILL: (check_kill, Limits(cpu=60, wall=1200, memory=4 << 30), 1),
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
    scratch()  # Before the first process is forked, so that all have one.
    while time.monotonic() < until and (rounds is None or record.done[Kind.KILL] < rounds):
        for kind in Kind:
            one_round(record, kind)
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


def main(words: Sequence[str] | None = None) -> int:
    """Run the soak, or one case of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
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


if __name__ == "__main__":
    sys.exit(main())
