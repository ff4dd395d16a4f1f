"""What proposing and telling a trial costs, after many: ask and tell with so many told, and reading them again.

    python bench/asking.py [spaces/darts.hsp] [--told 10000] [--replayed 100000]

Scores are random, nothing is trained. Printed are milliseconds of the processor, for each explorer: of asking and
telling the first trial, which rebuilds what follows from those before, and the mean and the most of a thousand further
ones, in which a predictor learns at least once; then how long it takes to read a file of trials.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from random import Random
from statistics import fmean

from compiler.analysis.architectures import Architectures
from compiler.program.request import Request
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.study import stream_of
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.settings.exploring import (
    Acquisition,
    Evolution,
    Genetic,
    Local,
    Nsga2,
    Predictor,
    RandomDraws,
    Shipped,
)
from compiler.searcher.settings.rungs import Asynchronous, NoRungs, Rungs

TIMES = 1001


def explorers(trials: int) -> dict[str, tuple[Shipped, Rungs]]:
    """Each by the name of its word, for more proposals than are told before."""
    more = 2 * trials
    return {
        "random": (RandomDraws(trials=more), NoRungs()),
        "asynchronous": (RandomDraws(trials=more), Asynchronous(start=1, to=81)),
        "genetic": (Genetic(rounds=more // 50, population=50), NoRungs()),
        "evolution": (Evolution(trials=more), NoRungs()),
        "local": (Local(trials=more), NoRungs()),
        "nsga2": (Nsga2(trials=more), NoRungs()),
        "predictor": (Predictor(trials=more), NoRungs()),
        "thompson": (Predictor(trials=more, batch=10, among=100, acquisition=Acquisition.THOMPSON), NoRungs()),
    }


def trial(space: ExploredSpace, source: Random, at: int) -> Trial:
    """A trial of an architecture that is drawn, with a random score."""
    found = space.drawn(source)
    return Trial(id=at, number=found.number, budget=1, score=source.random(), decisions=space.readable(found))


def asked(space: ExploredSpace, word: Shipped, rungs: Rungs, told: list[Trial]) -> list[float]:
    """Seconds of asking and telling one trial, one after the other, after those that were told."""
    history = History()
    history.replay(told)
    proposer = proposer_of(word, space, Budgets(1, 1), stream_of(0), rungs)
    source, found = Random(1), []
    for at in range(len(told), len(told) + TIMES):
        since = time.process_time()
        made = proposer.ask(history)
        if made is None:  # The neighbours of a local optimum are finite.
            break
        number = made.candidate.number
        history.tell(Trial(id=at, number=number, budget=made.budget, score=source.random()))
        found.append(time.process_time() - since)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path, nargs="?", default=Path("spaces/darts.hsp"))
    parser.add_argument("--told", type=int, default=10_000)
    parser.add_argument("--replayed", type=int, default=100_000)
    args = parser.parse_args()
    space = ExploredSpace(Architectures(Request(args.space)).parts[-1])
    source = Random(0)
    told = [trial(space, source, at) for at in range(args.told)]
    for name, (word, rungs) in explorers(args.told).items():
        first, *later = asked(space, word, rungs, told)
        then = f"{1000 * fmean(later):8.2f} ms (at most {1000 * max(later):.2f})"
        print(f"{name:<14} first {1000 * first:8.2f} ms, then {then}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        log = TrialLog(Path(folder) / "trials.jsonl", "run")
        log.start(resume=False)
        with log.path.open("ab") as file:
            for at in range(args.replayed):
                again = told[at % len(told)].model_copy(update={"id": at})
                file.write(again.model_dump_json(exclude_defaults=True).encode() + b"\n")
        since = time.process_time()
        history = History()
        history.replay(log.start(resume=True))
        print(f"{args.replayed:,} trials read again in {time.process_time() - since:.1f} s")


if __name__ == "__main__":
    main()
