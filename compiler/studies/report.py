"""The table of a study: means over the seeds with intervals, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import mean, stdev

from rich.table import Table
from scipy.stats import t as student

from compiler.reports.columns import columns
from compiler.searcher.settings.metric import ACCURACY, TRAINING_LOSS, Metric

from .plan import StudyPlan
from .results import Result

CONFIDENCE = 0.95
"""Of an interval."""
MEASURES = "score", "tested", "loss", "params", "macs"
"""What is averaged."""


@dataclass(frozen=True)
class Mean:
    """The mean of some values, and how far it may be off: Student's 95% interval; none for a single value."""

    value: float
    reach: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """That of values, at least one."""
        count = len(values)
        if count < 2:
            return cls(values[0], None)
        quantile = float(student.ppf((1 + CONFIDENCE) / 2, count - 1))
        return cls(mean(values), quantile * stdev(values) / sqrt(count))

    def shown(self, metric: Metric) -> str:
        """As values of a metric."""
        return metric.show(self.value, 2) + ("" if self.reach is None else f" +- {metric.reach(self.reach)}")

    def amount(self) -> str:
        """As whole numbers."""
        return f"{self.value:,.0f}"


@dataclass(frozen=True)
class Row:
    """A combination: how many of its runs came to their end, and the means of these."""

    combination: str
    asked: int
    finished: int
    means: Mapping[str, Mean]
    judged: Metric = ACCURACY
    """What scores are of."""
    metric: Metric = ACCURACY
    """What is tested."""
    best: Result | None = None
    """Of several trainings the one with the lowest mean loss: chosen without the test images."""

    def said(self, measure: str) -> str:
        """A mean with its interval."""
        if (found := self.means.get(measure)) is None:
            return "-"
        match measure:
            case "score":
                return found.shown(self.judged)
            case "tested":
                return found.shown(self.metric)
            case "loss":
                return found.shown(TRAINING_LOSS)
        return found.amount()


def tested_name(metrics: Iterable[Metric]) -> str:
    """The metric of all of these; where they differ, ``tested``."""
    names = {metric.name for metric in metrics}
    return names.pop() if len(names) == 1 else "tested"


def rows_of(plan: StudyPlan, results: Mapping[str, Result]) -> list[Row]:
    """A row for each combination, in the order of the plan."""
    made = []
    for name, runs in plan.combinations.items():
        found = [results[run.name] for run in runs if run.name in results and not results[run.name].failed]
        values = {measure: [getattr(item, measure) for item in found] for measure in MEASURES}
        known = {measure: [value for value in each if value is not None] for measure, each in values.items()}
        means = {measure: Mean.of(each) for measure, each in known.items() if each}
        of = (found[0].judged, found[0].metric) if found else (ACCURACY, ACCURACY)
        made.append(Row(name, len(runs), len(found), means, *of, _best(found)))
    return made


def _best(results: Sequence[Result]) -> Result | None:
    """The result whose training has the lowest loss; None of fewer than two trainings, or where one noted no loss."""
    losses = {item.loss: item for item in reversed(results) if item.loss is not None}
    trained = sum(item.tested is not None for item in results)
    complete = sum(item.loss is not None for item in results) == trained
    return losses[min(losses)] if trained > 1 and complete else None


def choices(rows: Sequence[Row], folder: Path) -> Iterator[str]:
    """A sentence on each combination of which one training is the best."""
    for row in rows:
        if (best := row.best) is not None:
            tested = f"{row.metric.name} {row.metric.show(best.tested, 2)}"
            yield (
                f"{row.combination}: seed {best.seed} has the lowest training loss; "
                f"its test {tested} ({folder / best.name})"
            )


def table_of(rows: Sequence[Row]) -> Table:
    """The rows for a terminal; a measure that no run has is left out."""
    shown = [measure for measure in MEASURES if any(measure in row.means for row in rows)]
    tested = tested_name(row.metric for row in rows)
    names = {
        "params": "parameters",
        "macs": "multiply-adds",
        "tested": f"test {tested}".replace("test tested", "test"),
        "loss": TRAINING_LOSS.name,
    }
    cells = [[row.combination, f"{row.finished} of {row.asked}", *map(row.said, shown)] for row in rows]
    return columns(["combination", "runs", *(names.get(measure, measure) for measure in shown)], cells)


def table_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV: mean and half the width of the interval of each measure."""
    header = ["combination", "runs", "finished"]
    tested = tested_name(row.metric for row in rows)
    for name in (tested if measure == "tested" else measure for measure in MEASURES):
        header += [name, f"{name}_interval"]
    lines: list[list[object]] = []
    for row in rows:
        line: list[object] = [row.combination, row.asked, row.finished]
        for measure in MEASURES:
            found = row.means.get(measure)
            line += ["", ""] if found is None else [found.value, "" if found.reach is None else found.reach]
        lines.append(line)
    return _csv(header, lines)


def runs_csv(plan: StudyPlan, results: Mapping[str, Result]) -> str:
    """A line for each run that ended."""
    names = [name for name in Result.model_fields if name not in ("judged", "metric")]
    found = [results[run.name] for run in plan.runs if run.name in results]
    tested = tested_name(item.metric for item in found)
    header = [tested if name == "tested" else name for name in names]
    return _csv(header, [["" if (v := getattr(item, name)) is None else v for name in names] for item in found])


def failures(plan: StudyPlan, results: Mapping[str, Result]) -> Iterator[str]:
    """A sentence on each run that has no result."""
    for run in plan.runs:
        if run.name in results and results[run.name].failed:
            yield f"{run.name}: {results[run.name].failed}"


def _csv(header: Sequence[str], lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(lines)
    return text.getvalue()
