"""What is found of several objectives: a front of architectures, each a derived file, with a table and a picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.reports.scatter import scatter
from compiler.searcher.explore.generations import Objectives
from compiler.searcher.explore.pareto import Point, front
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.run_files import PARETO
from compiler.searcher.settings.exploring import Nsga2, Objective
from compiler.searcher.settings.metric import ACCURACY, Metric
from compiler.util.files import atomic_write

from .anew import empty


@dataclass(frozen=True)
class Front:
    """The trials that no other dominates, the best first.

    ``points`` are theirs, and ``others`` those of all trials: scores as they are, costs with the opposite sign.
    ``metric`` is what scores are of.
    """

    objectives: tuple[Objective, ...]
    trials: tuple[Trial, ...]
    points: tuple[Point, ...]
    others: tuple[Point, ...]
    metric: Metric = ACCURACY

    @classmethod
    def of(cls, history: History, space: ExploredSpace, word: Nsga2, metric: Metric = ACCURACY) -> Front:
        """The front of all trials that did not fail."""
        objectives = Objectives(space, word)
        judged = [trial for trial in history.known.values() if not trial.failed]
        points = [objectives(trial, history.merit) for trial in judged]
        first = next(at for at, name in enumerate(word.pareto) if name.is_judged)
        chosen = sorted(front(points), key=lambda at: -points[at][first])
        theirs = tuple(points[at] for at in chosen)
        return cls(word.pareto, tuple(judged[at] for at in chosen), theirs, tuple(points), metric)

    @property
    def names(self) -> tuple[str, ...]:
        """The objectives, the judge's by the name of the metric."""
        return tuple(self.metric.name if name.is_judged else name for name in self.objectives)

    def amounts(self, point: Point) -> Iterator[float]:
        """The objectives of a point as they are."""
        for name, value in zip(self.objectives, point, strict=True):
            yield self.metric.score(value) if name.is_judged else -value


def write_front(found: Front, texts: Sequence[str], folder: Path) -> None:
    """Write the derived files of a front, the table `front.csv`, and the picture `front.svg` of its first cost.

    Those of another front are removed before.
    """
    target = folder / PARETO
    empty(target)
    target.mkdir(parents=True, exist_ok=True)
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(["file", "trial", "number", *found.names])
    for at, (trial, point, text) in enumerate(zip(found.trials, found.points, texts, strict=True)):
        name = f"{at:02}.hsp"
        atomic_write(target / name, text)
        writer.writerow([name, trial.id, trial.number, *(f"{value:.12g}" for value in found.amounts(point))])
    atomic_write(target / "front.csv", table.getvalue())
    judged = next(at for at, name in enumerate(found.objectives) if name.is_judged)
    cost = next(at for at, name in enumerate(found.objectives) if not name.is_judged)

    def drawn(points: Sequence[Point]) -> list[tuple[float, float]]:
        each = [tuple(found.amounts(point)) for point in points]
        return [(amounts[cost], amounts[judged]) for amounts in each]

    picture = scatter(drawn(found.others), drawn(found.points), found.names[cost], found.names[judged])
    atomic_write(target / "front.svg", picture)
