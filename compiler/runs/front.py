"""What is found of several objectives: a front of architectures, each a derived file, with a table and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from compiler.reports.scatter import scatter
from compiler.searcher.explore.generations import Objectives
from compiler.searcher.explore.pareto import Point, front
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.run_files import PARETO
from compiler.searcher.settings.exploring import Nsga2, Objective
from compiler.util.files import atomic_write


@dataclass(frozen=True)
class Front:
    """The trials that no other dominates, the most accurate first.

    ``points`` are theirs, and ``others`` those of all trials: accuracy as it is, costs with the opposite sign.
    """

    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    points: tuple[Point, ...]
    others: tuple[Point, ...]

    @classmethod
    def of(cls, history: History, space: ExploredSpace, word: Nsga2) -> Front:
        """The front of all trials that did not fail."""
        objectives = Objectives(space, word)
        judged = [trial for trial in history.known.values() if not trial.failed]
        points = [objectives(trial, history.merit) for trial in judged]
        first = word.pareto.index(Objective.ACCURACY)
        chosen = sorted(front(points), key=lambda at: -points[at][first])
        return cls(word.pareto, tuple(judged[at] for at in chosen), tuple(points[at] for at in chosen), tuple(points))

    def amounts(self, point: Point) -> Iterator[tuple[Objective, float]]:
        """The objectives of a point as they are."""
        for name, value in zip(self.objectives, point, strict=True):
            yield name, value if name is Objective.ACCURACY else -value


def write_front(found: Front, texts: Sequence[str], folder: Path) -> None:
    """Write the derived files of a front, the table `front.csv`, and the picture `front.svg` of its first cost.

    The folder `pareto` holds nothing else afterwards.
    """
    target = folder / PARETO
    if target.exists():
        rmtree(target)
    target.mkdir(parents=True)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "trial", "number", *found.objectives])
    for at, (trial, point, text) in enumerate(zip(found.trials, found.points, texts, strict=True)):
        name = f"{at:02}.hsp"
        atomic_write(target / name, text)
        writer.writerow([name, trial.id, trial.number, *(f"{value:.12g}" for _, value in found.amounts(point))])
    atomic_write(target / "front.csv", table.getvalue())
    cost = next(name for name in found.objectives if name is not Objective.ACCURACY)

    def drawn(points: Sequence[Point]) -> list[tuple[float, float]]:
        each = [dict(found.amounts(point)) for point in points]
        return [(amounts[cost], amounts[Objective.ACCURACY]) for amounts in each]

    atomic_write(target / "front.svg", scatter(drawn(found.others), drawn(found.points), cost, Objective.ACCURACY))
