"""The runs and studies below a folder, a row for each: what it is, how far it is, its score and its cost."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.table import Table

from compiler.reports.columns import columns
from compiler.searcher.settings.metric import ACCURACY, MetricFacts
from compiler.studies.results import PLAN

from .model import Plain, Run, State
from .reading import is_run, run_of, study_of
from .words import amount, duration, of_metric, score


class Listed(Plain):
    """A run or a study. ``kind`` is search, train, versus or study; costs are those of what was derived."""

    folder: str
    kind: str
    state: State
    done: str
    score: str
    tested: float | None
    metric: MetricFacts
    params: int | None
    macs: int | None
    seconds: float


def listed(folder: Path, plugins: Iterable[str] = ()) -> Iterator[Listed]:
    """The runs at and below a folder, in the order of their paths.

    What lies in the folder of a run belongs to it: its phases, its training, the trainings of its comparison.
    """
    allowed = tuple(plugins)
    for path, names, _ in os.walk(folder):
        here = Path(path)
        names.sort()
        if (here / PLAN).is_file():
            yield _study(here)
        elif is_run(here):
            yield _run(here, run_of(here.name, here, allowed))
        else:
            continue
        names.clear()


def _run(folder: Path, run: Run) -> Listed:
    searched = bool(run.phases)
    kind = "search" if searched else "train" if run.training else "versus" if run.versus else "architecture"
    network = None if run.derived is None else run.derived.network
    return Listed(
        folder=str(folder),
        kind=kind,
        state=run.state,
        done=_done(run),
        score=run.score,
        tested=_tested(run)[0],
        metric=_tested(run)[1],
        params=None if network is None else network.params,
        macs=None if network is None else network.macs,
        seconds=run.seconds,
    )


def _tested(run: Run) -> tuple[float | None, MetricFacts]:
    """What a trained network is worth on the test part, and by which metric."""
    if run.training is not None:
        return run.training.tested, run.training.metric
    return (None, ACCURACY) if run.versus is None else (run.versus.architecture.value, run.versus.metric)


def _done(run: Run) -> str:
    """How much of a run is done: of its last phase, or of its training."""
    last = run.phases[-1] if run.phases else None
    if last is None:
        return "" if run.training is None else f"{run.training.epochs[-1].epoch} epochs"
    of = f" of {last.name}" if last.name else ""
    if last.trials:
        return f"{len(last.trials)} trials{of}"
    return f"{last.epochs[-1].epoch} epochs{of}" if last.epochs else ""


def _study(folder: Path) -> Listed:
    study = study_of(folder.name, folder)
    asked, ended = sum(row.asked for row in study.rows), len(study.runs)
    return Listed(
        folder=str(folder),
        kind="study",
        state=State.FINISHED if ended >= asked else State.STOPPED,
        done=f"{ended} of {asked} runs",
        score="",
        tested=None,
        metric=ACCURACY,
        params=None,
        macs=None,
        seconds=0.0,
    )


def table_of(rows: Sequence[Listed]) -> Table:
    """The rows for a terminal."""
    heads = ("run", "kind", "state", "done", "score", "tested", "parameters", "multiply-adds", "time")
    cells = [
        (
            row.folder,
            row.kind,
            row.state.value,
            row.done,
            score(row.score) if row.score else "",
            of_metric(row.tested, row.metric) + ("" if row.metric == ACCURACY else f" {row.metric.name}"),
            "" if row.params is None else amount(row.params),
            "" if row.macs is None else amount(row.macs),
            duration(row.seconds) if row.seconds else "",
        )
        for row in rows
    ]
    return columns(heads, cells)
