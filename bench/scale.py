"""Where one process that proposes and tells is too slow for many workers: measured costs, simulated events.

    python bench/scale.py [spaces/darts.hsp] [--told 10000] [--trials 200] [--json]

Measured are what one trial costs the process that proposes, with so many told before: ask, tell, and two synced lines
of the log; and how long it takes to read 100,000 trials again. Simulated is a run of that process and of N workers
whose trials take about D seconds (log-normal, with a deviation of half the mean): workers that end stand in line until
they are told and get the next trial. Printed is which share of their time workers judge. From N = D / cost on, more
workers no longer help.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from statistics import median

from compiler.analysis.architectures import Architectures
from compiler.program.request import Request
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.study import stream_of
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import Asked, History, Trial
from compiler.searcher.settings.exploring import Evolution

WORKERS = (1, 10, 100, 1_000, 10_000)
DURATIONS = (1.0, 10.0, 100.0, 1_000.0)
"""Seconds of a trial."""
SPREAD = 0.5
"""The deviation of the duration of a trial, as a share of its mean."""
REPLAYED = 100_000


@dataclass(frozen=True)
class Costs:
    """Seconds that a trial takes of the process that proposes: medians."""

    ask: float
    tell: float
    log: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.ask + self.tell + self.log


def measured(space: ExploredSpace, told: int, trials: int, folder: Path) -> Costs:
    """The costs of evolution, after ``told`` trials."""
    word = Evolution(trials=told + trials, population=100, tournament=25)
    proposer = proposer_of(word, space, Budgets(1, 1), stream_of(0))
    history, source, log = History(), Random(0), TrialLog(folder / "trials.jsonl", "bench")
    log.start(resume=False)
    for k in range(told):
        history.tell(Trial(id=k, number=source.randrange(space.count), budget=1, score=source.random()))
    asks, tells, logs = list[float](), list[float](), list[float]()
    for _ in range(trials):
        times = [time.perf_counter()]
        found = proposer.ask(history)
        assert found is not None
        asked = Asked(id=history.asked, number=found.candidate.number, budget=1, parents=found.parents)
        history.ask(asked)
        times.append(time.perf_counter())
        named = space.readable(space.candidate(asked.number))
        trial = Trial(**asked.model_dump(), score=source.random(), decisions=named)
        history.tell(trial)
        times.append(time.perf_counter())
        log.append(asked)
        log.append(trial)
        times.append(time.perf_counter())
        for kept, since, until in zip((asks, tells, logs), times, times[1:], strict=False):
            kept.append(until - since)
    return Costs(median(asks), median(tells), median(logs))


def replayed(space: ExploredSpace, count: int, folder: Path) -> float:
    """Seconds to read so many trials from a file into a history."""
    path, source = folder / "many.jsonl", Random(1)
    named = space.readable(space.drawn(source))
    with path.open("w") as file:
        file.write('{"run":"bench"}\n')
        for k in range(count):
            number = source.randrange(space.count)
            trial = Trial(id=k, number=number, budget=1, score=source.random(), decisions=named)
            file.write(trial.model_dump_json(exclude_defaults=True) + "\n")
    since = time.perf_counter()
    History().replay(TrialLog(path, "bench", writes=False).start(resume=True))
    return time.perf_counter() - since


def share_of_work(workers: int, duration: float, cost: float, seed: int = 0) -> float:
    """The share of their time that workers judge, where the process that proposes takes ``cost`` a trial."""
    source = Random(seed)
    deviation = math.sqrt(math.log(1 + SPREAD**2))
    centre = math.log(duration) - deviation**2 / 2
    trials = max(20 * workers, 2_000)
    waiting, running = deque(range(workers)), list[float]()
    now = busy = done = 0.0
    while done < trials:
        if waiting:
            waiting.popleft()
            now += cost
            took = source.lognormvariate(centre, deviation)
            heapq.heappush(running, now + took)
            busy += took
            done += 1
        else:
            now = max(now, running[0])
        while running and running[0] <= now:
            heapq.heappop(running)
            waiting.append(0)
    left = sum(end - now for end in running if end > now)
    return (busy - left) / (workers * now)


def table(costs: Costs) -> Iterator[str]:
    """The share of work in Markdown, by workers and by the duration of a trial."""
    yield f"| workers | {' | '.join(f'{duration:g} s' for duration in DURATIONS)} |"
    yield f"|---|{'---|' * len(DURATIONS)}"
    for workers in WORKERS:
        shares = [share_of_work(workers, duration, costs.total) for duration in DURATIONS]
        yield f"| {workers:,} | {' | '.join(f'{share:.0%}' for share in shares)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path("spaces/darts.hsp"))
    parser.add_argument("--told", type=int, default=10_000, help="trials that are told before")
    parser.add_argument("--trials", type=int, default=200, help="trials that are measured")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    space = ExploredSpace(Architectures(Request(given.file)).parts[-1])
    with tempfile.TemporaryDirectory() as name:
        costs = measured(space, given.told, given.trials, Path(name))
        seconds = replayed(space, REPLAYED, Path(name))
    if given.json:
        shares = {n: {d: share_of_work(n, d, costs.total) for d in DURATIONS} for n in WORKERS}
        print(json.dumps({**asdict(costs), "replay": seconds, "shares": shares}))
        return
    print(f"ask {1e3 * costs.ask:.2f} ms, tell {1e3 * costs.tell:.2f} ms, log {1e3 * costs.log:.2f} ms")
    print(f"{REPLAYED:,} trials are read again in {seconds:.1f} s")
    print(*table(costs), sep="\n")
    for duration in DURATIONS:
        print(f"trials of {duration:g} s: more than {duration / costs.total:,.0f} workers do not help")


if __name__ == "__main__":
    main()
