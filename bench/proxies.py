"""Zero-cost proxies beside tables of truth: how well they rank architectures that were trained.

    python bench/proxies.py spaces/truth/cells.hsp [--minutes 30] [--report]

Computes each proxy of each architecture of a table, as `hdas-compile FILE --proxies` does, of one batch of 64
validation images, and keeps them in `NAME.proxies.csv` beside the table: a run that ends early goes on where it was.
Then it prints, for each proxy: the rank correlation with the test accuracy, the mean of the trainings of a row, and an
interval of it from resampled rows; the same given multiply-adds (partial), since most proxies grow with size; that
among the better half of the table; and the share of the table that the architecture which it likes best is better than,
the mean where it likes several alike. A proxy that is infinite or not defined ranks an architecture last. Before the
table it prints the seconds that each takes by itself.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median, quantiles

import torch
from finds import better_than
from scipy.stats import spearmanr
from truth import Space, Table

from compiler.runs.proxies import IMAGES, batch_of, proxies
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.settings.judges import ProxyName
from compiler.util.files import atomic_write

Values = Mapping[str, float]
"""Proxies of an architecture by name."""
RESAMPLED = 1_000
"""Of so many tables that are drawn from one with replacement, the interval of a correlation is taken."""
TIMED = 5
"""Of so many architectures the time of each proxy is taken."""


def read(path: Path) -> dict[int, Values]:
    """What was computed, by the number of the architecture; nothing where there is no such file."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {
            int(line.pop("number")): {name: float(text) for name, text in line.items()} for line in csv.DictReader(file)
        }


def write(path: Path, found: Mapping[int, Values]) -> None:
    """Keep what was computed, in the order of the numbers."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["number", *ProxyName])
    for number, values in sorted(found.items()):
        writer.writerow([number, *(f"{values[name]:.6g}" for name in ProxyName)])
    atomic_write(path, out.getvalue())


def compute(space: Space, numbers: Sequence[int], path: Path, minutes: float) -> None:
    """Compute what is not there yet."""
    began, found = time.monotonic(), read(path)
    batch = batch_of(space.data[1], IMAGES, Compute("cpu"), 0)
    for done, number in enumerate(number for number in numbers if number not in found):
        if (time.monotonic() - began) / 60 > minutes:
            break
        found[number] = proxies(space.listing.architecture(number).text, batch)
        if done % 20 == 0:
            write(path, found)
    write(path, found)


def seconds(space: Space, numbers: Sequence[int]) -> Iterator[str]:
    """The processor's seconds that each proxy by itself takes of an architecture, that of reading it included."""
    batch = batch_of(space.data[1], IMAGES, Compute("cpu"), 0)
    texts = [space.listing.architecture(number).text for number in numbers[:TIMED]]
    for name in ProxyName:
        each = []
        for text in texts:
            started = time.process_time()
            proxies(text, batch, [name])
            each.append(time.process_time() - started)
        yield f"{name}: {median(each):.2f} s"


def correlation(left: Sequence[float], right: Sequence[float]) -> float:
    """Spearman's; 0 where one of both is the same throughout."""
    if len({*left}) < 2 or len({*right}) < 2:
        return 0.0
    return float(spearmanr(left, right).statistic)


def given(left: Sequence[float], right: Sequence[float], other: Sequence[float]) -> float:
    """The partial rank correlation of two quantities where a third is held."""
    ab, ac, bc = correlation(left, right), correlation(left, other), correlation(right, other)
    rest = math.sqrt((1 - ac**2) * (1 - bc**2))
    return (ab - ac * bc) / rest if rest > 1e-9 else 0.0


def interval(left: Sequence[float], right: Sequence[float]) -> tuple[float, float]:
    """The middle 95% of the correlations of resampled rows."""
    source, count, each = random.Random(0), len(left), []
    for _ in range(RESAMPLED):
        rows = source.choices(range(count), k=count)
        each.append(correlation([left[row] for row in rows], [right[row] for row in rows]))
    cuts = quantiles(each, n=40)
    return cuts[0], cuts[-1]


def report(found: Mapping[int, Values], table: Table) -> Iterator[str]:
    """A table in Markdown, the proxy that ranks best first."""
    numbers = [number for number in table.rows if number in found]
    tests = [mean(result.test for result in table.rows[number].results.values()) for number in numbers]
    macs = [float(table.rows[number].architecture.macs) for number in numbers]
    half = median(tests)
    better = [at for at, test in enumerate(tests) if test >= half]
    lines = []
    for name in ProxyName:
        values = [found[number][name] for number in numbers]
        values = [value if math.isfinite(value) else -math.inf for value in values]
        low, high = interval(values, tests)
        liked = mean(better_than(tests[at], tests) for at, value in enumerate(values) if value == max(values))
        above = correlation([values[at] for at in better], [tests[at] for at in better])
        rank = correlation(values, tests)
        cells = [
            f"{rank:.2f} ({low:.2f} to {high:.2f})",
            f"{given(values, tests, macs):.2f}",
            f"{above:.2f}",
            f"{liked:.1%}",
        ]
        lines.append((rank, f"| `{name}` | {' | '.join(cells)} |"))
    yield f"{len(numbers):,} architectures"
    yield "| proxy | rank correlation | given multiply-adds | better half | the one liked best is better than |"
    yield "|---|---|---|---|---|"
    yield from (line for _, line in sorted(lines, reverse=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start nothing after so many")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data lie")
    parser.add_argument("--report", action="store_true", help="compute nothing; print what was computed")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table, path = Table(args.space.with_suffix(".csv")), args.space.with_suffix(".proxies.csv")
    if not table.rows:
        raise SystemExit(f"{table.path} has no rows: make it with bench/truth.py")
    if not args.report:
        numbers = sorted(table.rows)
        random.Random(0).shuffle(numbers)
        space = Space(args.space, args.data)
        compute(space, numbers, path, args.minutes)
        print("\n".join(seconds(space, numbers)))
    found = read(path)
    if not found:
        raise SystemExit(f"{path} has no rows: run this without --report")
    print("\n".join(report(found, table)))


if __name__ == "__main__":
    main()
