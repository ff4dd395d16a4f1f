"""The runs and studies below a folder, a row for each: its kind, progress, score and cost.

A row reads no more than it shows, so that hundreds of runs are listed in a second or two.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel
from rich.table import Table

from compiler.reports.columns import columns
from compiler.reports.lines import parsed, parsed_lines
from compiler.reports.run_metrics import metrics_of, tested_of
from compiler.reports.versus import Comparison
from compiler.searcher.run_files import COMPARISON, DERIVED, HISTORY, TRIALS, VERSUS
from compiler.searcher.settings.metric import Metric
from compiler.studies.results import PLAN
from compiler.util.plural import plural

from .known_costs import Brief, KnownCosts, known_costs
from .model import Plain, State
from .phases import best_of, trials_of
from .reading import is_run, phase_folders, state_of, study_of, training_folder
from .words import amount, duration


class Listed(Plain):
    """A run or a study.

    ``kind`` is search, train, versus or study; ``score`` and ``test`` are values of ``metric``, of the search and of
    the training that follows; costs are those of what was derived, ``seconds`` those of the epochs.
    """

    folder: str
    kind: str
    state: State
    done: str
    metric: Metric
    score: float | None
    test: float | None
    params: int | None
    macs: int | None
    seconds: float


class _Epoch(BaseModel):
    """What is read of a line of ``history.jsonl``."""

    epoch: int
    score: float | None = None
    seconds: float | None = None


def listed(folder: Path, plugins: Iterable[str] = ()) -> Iterator[Listed]:
    """The runs at and below a folder, in the order of their paths.

    What lies in the folder of a run belongs to it: its phases, its training, the trainings of its comparison.
    """
    with known_costs(tuple(plugins)) as known:
        for path, names, _ in os.walk(folder):
            here = Path(path)
            names.sort()
            if (here / PLAN).is_file():
                yield _study(here)
            elif is_run(here):
                yield _run(here, known)
            else:
                continue
            names.clear()


def _run(folder: Path, known: KnownCosts) -> Listed:
    phases, training = phase_folders(folder), training_folder(folder)
    searched, trained = [_epochs(path) for path in phases], _epochs(training)
    brief, (metric, test) = known.of(folder / DERIVED) or Brief(), tested_of(training)
    versus = parsed(folder / COMPARISON, Comparison) or parsed(folder / VERSUS / COMPARISON, Comparison)
    if phases:
        metric = metrics_of(folder).scored
    seconds = sum(line.seconds or 0.0 for lines in (*searched, trained) for line in lines)
    return Listed(
        folder=str(folder),
        kind="search" if phases else "train" if trained else "versus" if versus else "architecture",
        state=state_of(folder),
        done=_done(folder, phases[-1], searched[-1]) if phases else _count(trained),
        metric=metric,
        score=_score(phases[-1], searched[-1], brief, metric) if phases else brief.score,
        test=versus.architecture.value if versus and not trained else test,
        params=brief.params,
        macs=brief.macs,
        seconds=round(seconds, 3),
    )


def _epochs(folder: Path) -> list[_Epoch]:
    """The epochs in a folder, each once."""
    return list({line.epoch: line for line in parsed_lines(folder / HISTORY, _Epoch)}.values())


def _count(lines: Sequence[_Epoch]) -> str:
    return plural(lines[-1].epoch, "epoch") if lines else ""


def _done(folder: Path, phase: Path, lines: Sequence[_Epoch]) -> str:
    """How much of the last phase is done."""
    trials = len(trials_of(phase / TRIALS))
    done = plural(trials, "trial") if trials else _count(lines)
    return f"{done} of {phase.name}" if done and phase != folder else done


def _score(phase: Path, lines: Sequence[_Epoch], brief: Brief, metric: Metric) -> float | None:
    """The metric of what was derived, as `phases.derived_score` has it."""
    if not brief.said:
        return None
    best = best_of(trials_of(phase / TRIALS), brief.said.get("number", ""))
    if best is not None:
        return metric.value(best.score)
    found = next((line.score for line in lines if str(line.epoch) == brief.said.get("epoch")), None)
    return brief.score if found is None else metric.value(found)


def _study(folder: Path) -> Listed:
    study = study_of(folder.name, folder)
    asked, ended = sum(row.asked for row in study.rows), len(study.runs)
    return Listed(
        folder=str(folder),
        kind="study",
        state=study.state,
        done=f"{ended} of {asked} runs",
        metric=Metric(),
        score=None,
        test=None,
        params=None,
        macs=None,
        seconds=0.0,
    )


def table_of(rows: Sequence[Listed]) -> Table:
    """The rows for a terminal; a metric that is not an accuracy is named."""
    heads = ("run", "kind", "state", "done", "score", "test", "parameters", "multiply-adds", "time")
    cells = [
        (
            row.folder,
            row.kind,
            row.state.value,
            row.done,
            _said(row.metric, row.score, 1),
            _said(row.metric, row.test, 2),
            "" if row.params is None else amount(row.params),
            "" if row.macs is None else amount(row.macs),
            duration(row.seconds) if row.seconds else "",
        )
        for row in rows
    ]
    return columns(heads, cells)


def _said(metric: Metric, value: float | None, digits: int) -> str:
    shown = metric.show(value, digits)
    return f"{metric.name} {shown}" if shown and metric != Metric() else shown
