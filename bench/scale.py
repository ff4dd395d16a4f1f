"""Where one process that proposes and tells is too slow for many workers: measured costs, simulated events.

    python bench/scale.py [spaces/darts.hsp] [--told 10000] [--json]

Measured are what one trial costs the process that proposes, with so many told before: ask and tell, for each explorer
the mean of a thousand in processor's time (as bench/asking.py does), and two synced lines of the log, the median.
Simulated is a run of that process and of N workers whose trials take about D seconds (log-normal, with a deviation of
half the mean): workers that end stand in line until they are told and get the next trial. Printed is which share of
their time workers judge: 1,000 workers by explorer, and any number where `evolution` proposes. From N = D / cost on,
more workers no longer help.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from statistics import fmean, median

from asking import asked, explorers, trial

from compiler.analysis.architectures import Architectures
from compiler.program.request import Request
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import Asked, Trial

WORKERS = (1, 10, 100, 1_000, 10_000)
DURATIONS = (1.0, 10.0, 100.0, 1_000.0)
"""Seconds of a trial."""
SPREAD = 0.5
"""The deviation of the duration of a trial, as a share of its mean."""
MANY = 1_000
"""So many workers are simulated for each explorer."""
SHOWN = "evolution"
"""The explorer of which any number of workers is simulated."""
LOGGED = 200
"""So many trials are logged."""


def logged(trials: list[Trial], folder: Path) -> float:
    """Seconds that the two synced lines of a trial take: the median of some."""
    log, found = TrialLog(folder / "trials.jsonl", "bench"), []
    log.start(resume=False)
    for told in trials:
        since = time.perf_counter()
        log.append(Asked(id=told.id, number=told.number, budget=1))
        log.append(told)
        found.append(time.perf_counter() - since)
    return median(found)


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


def by_explorer(costs: Mapping[str, float], log: float) -> Iterator[str]:
    """What each explorer costs, and the share of work of many workers, in Markdown, by the duration of a trial."""
    yield f"| explorer | ask and tell | {' | '.join(f'{MANY:,} workers, {duration:g} s' for duration in DURATIONS)} |"
    yield f"|---|---|{'---|' * len(DURATIONS)}"
    for name, cost in sorted(costs.items(), key=lambda item: item[1]):
        shares = [share_of_work(MANY, duration, cost + log) for duration in DURATIONS]
        yield f"| `{name}` | {1e3 * cost:.1f} ms | {' | '.join(f'{share:.0%}' for share in shares)} |"


def by_workers(cost: float) -> Iterator[str]:
    """The share of work in Markdown, by workers and by the duration of a trial."""
    yield f"| workers | {' | '.join(f'trials of {duration:g} s' for duration in DURATIONS)} |"
    yield f"|---|{'---|' * len(DURATIONS)}"
    for workers in WORKERS:
        shares = [share_of_work(workers, duration, cost) for duration in DURATIONS]
        yield f"| {workers:,} | {' | '.join(f'{share:.0%}' for share in shares)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path, default=Path("spaces/darts.hsp"))
    parser.add_argument("--told", type=int, default=10_000, help="trials that are told before")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    space, source = ExploredSpace(Architectures(Request(given.file)).parts[-1]), Random(0)
    told = [trial(space, source, at) for at in range(given.told)]
    # The first trial rebuilds what follows from those before.
    costs = {name: fmean(asked(space, *word, told)[1:]) for name, word in explorers(given.told).items()}
    with tempfile.TemporaryDirectory() as name:
        log = logged(told[:LOGGED], Path(name))
    if given.json:
        shares = {n: {d: share_of_work(n, d, costs[SHOWN] + log) for d in DURATIONS} for n in WORKERS}
        print(json.dumps({"costs": costs, "log": log, "shares": shares}))
        return
    print(f"two synced lines: {1e3 * log:.2f} ms")
    print(*by_explorer(costs, log), "", *by_workers(costs[SHOWN] + log), sep="\n")


if __name__ == "__main__":
    main()
