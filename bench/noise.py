"""How much of what a training says is the architecture, and how much is luck? By accuracy, and by the training loss.

    hdas-compile runs/a/derived.hsp --versus 20 --repeats 3
    python bench/noise.py runs/a/versus

Reads the trainings of the random architectures of a comparison. The loss is the mean over epochs of the mean training
loss, as `judge = trained(by = loss)` has it; the rank correlation is that of the means of both.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

from scipy.stats import spearmanr

from compiler.reports.spread import Spread


def trainings(folder: Path) -> list[tuple[float, float]]:
    """The metric on the test part and the training loss of each training of an architecture that is finished."""
    found = []
    for result in sorted(folder.glob("seed-*/result.json")):
        said = json.loads(result.read_text())
        lines = [json.loads(line) for line in result.with_name("history.jsonl").read_text().splitlines()]
        found.append((said.get("value", said.get("accuracy")), mean(line["loss/train"] for line in lines)))
    return found


def report(folder: Path) -> Iterator[str]:
    """A table: each line what is measured, two deviations, and the share of the variance."""
    every = [trainings(path) for path in sorted(folder.glob("random-*")) if path.is_dir()]
    seeds = max(map(len, every), default=0)
    whole = [found for found in every if len(found) == seeds]
    rows = {
        name: [[said[at] for said in found] for found in whole] for at, name in enumerate(("test", "training loss"))
    }
    yield f"{len(whole)} architectures, {seeds} trainings each"
    yield "| what is measured | deviation between architectures | between trainings of one | share of the variance |"
    yield "|---|---|---|---|"
    for name, values in rows.items():
        found = Spread.of(values)
        if found is not None:
            yield f"| {name} | {found.architectures:.4f} | {found.trainings:.4f} | {found.share:.0%} |"
    tested, losses = ([mean(row) for row in values] for values in rows.values())
    yield f"rank correlation of the means: {spearmanr(tested, losses).statistic:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the `versus` folder of a run")
    print("\n".join(report(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
