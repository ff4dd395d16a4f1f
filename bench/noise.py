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


def losses(folder: Path) -> list[float]:
    """The training loss of an architecture by seed."""
    found = []
    for history in sorted(folder.glob("seed-*/history.jsonl")):
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        found.append(mean(line["loss/train"] for line in lines))
    return found


def values(folder: Path) -> list[float]:
    """The metric of an architecture on the test part by seed."""
    found = (json.loads(file.read_text()) for file in sorted(folder.glob("seed-*/result.json")))
    return [said.get("value", said.get("accuracy")) for said in found]


def report(folder: Path) -> Iterator[str]:
    """A table: each line what is measured, two deviations, and the share of the variance."""
    every = [(values(path), losses(path)) for path in sorted(folder.glob("random-*")) if path.is_dir()]
    seeds = max((len(tested) for tested, _ in every), default=0)
    whole = [(tested, loss) for tested, loss in every if len(tested) == len(loss) == seeds]
    yield f"{len(whole)} architectures, {seeds} trainings each"
    yield "| what is measured | deviation between architectures | between trainings of one | share of the variance |"
    yield "|---|---|---|---|"
    for name, rows in (("test", [tested for tested, _ in whole]), ("training loss", [loss for _, loss in whole])):
        found = Spread.of(rows)
        if found is not None:
            yield f"| {name} | {found.architectures:.4f} | {found.trainings:.4f} | {found.share:.0%} |"
    correlation = spearmanr([mean(tested) for tested, _ in whole], [mean(loss) for _, loss in whole]).statistic
    yield f"rank correlation of the means: {correlation:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="the `versus` folder of a run")
    print("\n".join(report(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
