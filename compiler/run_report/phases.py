"""One phase of a search in a report: its epochs or trials, and how its choices moved."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeGuard

from pydantic import BaseModel, ConfigDict, ValidationError

from compiler.reports.lines import parsed, parsed_lines
from compiler.reports.run_metrics import RunMetrics
from compiler.reports.space_record import SpaceRecord
from compiler.searcher.explore.trial_log import EVENT
from compiler.searcher.explore.trials import Trial, finalists
from compiler.searcher.run_files import DERIVED, HISTORY, PARETO, RUNNER_UP, SPACE, TRIALS
from compiler.searcher.settings.metric import Metric

from .derived import derived_of
from .differences import differences
from .model import Derived, Epoch, FrontPoint, Judged, Moves, Phase, RunnerUp
from .words import number_of

MOST_EPOCHS, NUMBERS = 200, 25_000
"""The most epochs of a phase that a page shows, evenly spread, and the most strengths."""


class Line(BaseModel):
    """A line of ``history.jsonl``; the entries besides these are numbers by name."""

    model_config = ConfigDict(extra="allow")

    epoch: int
    decisions: dict[str, str] = {}
    weights: dict[str, dict[str, float | None]] = {}
    entropies: dict[str, float | None] = {}
    seconds: float | None = None

    @property
    def score(self) -> float | None:
        """The score of the epoch, with all its digits."""
        found = (self.model_extra or {}).get("score")
        return found if _is_number(found) else None

    @property
    def scalars(self) -> dict[str, float | None]:
        """The numbers of the epoch."""
        found = {name: value for name, value in (self.model_extra or {}).items() if not isinstance(value, dict)}
        return {name: _short(value) for name, value in found.items() if value is None or _is_number(value)}


def phase_of(folder: Path, plugins: Iterable[str], metrics: RunMetrics) -> Phase:
    """The phase whose files a folder holds, of a run that recorded some metrics."""
    space = parsed(folder / SPACE, SpaceRecord)
    lines = history_of(folder / HISTORY)
    trials = trials_of(folder / TRIALS)
    derived = derived_of(folder / DERIVED, plugins)
    best = best_of(trials, "" if derived is None else derived.said.get("number", ""))
    metric = Metric.named(lines[-1].scalars if lines else (), metrics.metrics)
    judged = (metrics.judged or metric) if trials else metric
    second = None if derived is None else derived_of(folder / RUNNER_UP, plugins)
    return Phase(
        name="" if space is None else space.phase,
        metric=metric,
        judged=judged,
        score=derived_score(lines, derived, best, judged),
        space=space,
        epochs=tuple(_epochs(lines)),
        moves=tuple(moves_of(lines, space, derived, best)),
        trials=judged_of(trials, judged),
        runner_up=runner_up_of(trials, best, judged, second) if best else second_of(derived, second),
        front=front_of(folder / PARETO / "front.csv"),
        derived=derived,
    )


def derived_score(lines: Sequence[Line], derived: Derived | None, best: Trial | None, metric: Metric) -> float | None:
    """The metric of the derived architecture, as exact as the run keeps it: of its trial, or of its epoch."""
    if derived is None:
        return None
    if best is not None:
        return metric.value(best.score)
    epoch = derived.said.get("epoch", "")
    found = next((line.score for line in lines if str(line.epoch) == epoch), None)
    return number_of(derived.said.get("score", "")) if found is None else metric.value(found)


def history_of(path: Path) -> list[Line]:
    """The epochs of a run in order; of an epoch that was repeated after a kill the last record counts."""
    lines = {line.epoch: line for line in parsed_lines(path, Line)}
    return [lines[epoch] for epoch in sorted(lines)]


def epochs_of(path: Path) -> tuple[Epoch, ...]:
    """The epochs that a ``history.jsonl`` holds."""
    return tuple(_epochs(history_of(path)))


def _epochs(lines: Sequence[Line]) -> Iterable[Epoch]:
    shown = set(_spread(lines))
    changed: dict[str, str] = {}
    before: Mapping[str, str] = {}
    for at, line in enumerate(lines):
        now = line.decisions
        if at:
            changed |= {
                path: f"{before.get(path, 'nothing')} -> {now.get(path, 'nothing')}"
                for path in dict.fromkeys([*now, *before])
                if before.get(path) != now.get(path)
            }
        before = now
        if at in shown:
            entropies = {path: value for path, value in line.entropies.items() if value is not None}
            yield Epoch(
                epoch=line.epoch,
                scalars=line.scalars,
                entropies={path: round(value, 4) for path, value in entropies.items()},
                changed=changed,
                seconds=line.seconds,
            )
            changed = {}


def _spread(lines: Sequence[Line]) -> list[int]:
    """The positions of the epochs that are shown: all, or as many as a page holds."""
    count = len(lines)
    items = max((sum(map(len, line.weights.values())) for line in lines), default=0)
    most = max(10, min(MOST_EPOCHS, NUMBERS // max(items, 1)))
    if count <= most:
        return list(range(count))
    return [round(step * (count - 1) / (most - 1)) for step in range(most)]


def moves_of(
    lines: Sequence[Line], space: SpaceRecord | None, derived: Derived | None, best: Trial | None
) -> Iterable[Moves]:
    """How each choice moved, in the order of the paths; a choice without recorded strengths has its taken item alone.

    The taken item is that of the epoch that was derived from, else of the last epoch; an item that cannot be derived is
    no second. Where an explorer decided, the taken item is that of the ``best`` trial, and no item is second.
    """
    if not lines:
        return
    shown = [lines[at] for at in _spread(lines)]
    epoch = "" if derived is None else derived.said.get("epoch", "")
    last = next((line for line in lines if str(line.epoch) == epoch), lines[-1])
    derivable = {} if space is None else {choice.path: choice.derivable for choice in space.choices}
    for path in dict.fromkeys([*last.decisions, *last.weights]):
        items = dict.fromkeys(item for line in shown for item in line.weights.get(path, {}))
        now = {item: value for item, value in last.weights.get(path, {}).items() if value is not None}
        taken = (last if best is None else best).decisions.get(path, "")
        others = {item: value for item, value in now.items() if item != taken and item in derivable.get(path, now)}
        second = max(others, key=others.__getitem__, default="") if taken in now and best is None else ""
        strength, next_best = now.get(taken), others.get(second)
        flips = [
            line.epoch for before, line in pairwise(lines) if before.decisions.get(path) != line.decisions.get(path)
        ]
        yield Moves(
            path=path,
            taken=taken,
            strength=_short(strength),
            second=second,
            second_strength=_short(next_best),
            margin=None if strength is None or next_best is None else _short(strength - next_best),
            items={item: tuple(_short(line.weights.get(path, {}).get(item)) for line in shown) for item in items},
            flips=tuple(flips),
        )


# ---------------------------------------------------------------- trials


def trials_of(path: Path) -> list[Trial]:
    """The trials that ended, in that order."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            event = EVENT.validate_json(line)
        except ValidationError:  # the first line, which names the run, or one that is half written
            continue
        if isinstance(event, Trial):
            found.append(event)
    return found


def judged_of(trials: Sequence[Trial], metric: Metric) -> tuple[Judged, ...]:
    """The trials, each with the best score so far, whatever their budgets."""
    scores = [trial.score for trial in trials if not trial.failed and not trial.repeat]
    end = max(scores, default=0.0)
    best: float | None = None
    found = []
    for trial in trials:
        if not trial.failed and not trial.repeat and (best is None or trial.score > best):
            best = trial.score
        found.append(
            Judged(
                id=trial.id,
                score=None if trial.failed else _short(metric.value(trial.score)),
                best=None if best is None else _short(metric.value(best)),
                regret=None if best is None else _short(end - best),
                budget=trial.budget,
                failed=trial.failed,
                repeat=trial.repeat,
            )
        )
    return tuple(found)


def best_of(trials: Sequence[Trial], number: str) -> Trial | None:
    """The trial of the derived architecture, by its number in the space; else the best trial so far.

    Only trials with the largest budget count.
    """
    judged = finalists(trials)
    found = next((trial for trial in judged if str(trial.number) == number), None)
    return found or max(judged, key=lambda trial: (trial.score, -trial.id), default=None)


def second_of(derived: Derived | None, second: Derived | None) -> RunnerUp | None:
    """The runner-up by a supernet, where its file lies there."""
    found = None if derived is None or second is None else differences(derived.text, second.text)
    if second is None or found is None:
        return None
    # A definition that only one of both uses is not a choice: its path has no dot.
    changes = [item for item in found.changes if "." in item.path]
    differs = {item.path: (item.left or "nothing", item.right or "nothing") for item in changes}
    below = number_of(second.said.get("log_probability_below", ""))
    return RunnerUp(trial=None, score=None, below=below, differs=differs, derived=second)


def runner_up_of(trials: Sequence[Trial], best: Trial, metric: Metric, derived: Derived | None) -> RunnerUp | None:
    """The best trial of another architecture than ``best``; with ``derived``, the trial of that file, where one is."""
    others = [trial for trial in finalists(trials) if trial.number != best.number]
    number = "" if derived is None else derived.said.get("number", "")
    named = [trial for trial in others if str(trial.number) == number]
    second = max(named or others, key=lambda trial: (trial.score, -trial.id), default=None)
    if second is None:
        return None
    paths = dict.fromkeys([*best.decisions, *second.decisions])
    pairs = {path: (best.decisions.get(path, ""), second.decisions.get(path, "")) for path in paths}
    differs = {path: pair for path, pair in pairs.items() if pair[0] != pair[1]}
    score = metric.value(second.score)
    return RunnerUp(trial=second.id, score=score, below=None, differs=differs, derived=derived if named else None)


def front_of(path: Path) -> tuple[FrontPoint, ...]:
    """The architectures that no other dominates, from their table."""
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error):
        return ()
    found = []
    for row in rows:
        values = {name: value for name, value in row.items() if name not in ("file", "trial", "number")}
        try:
            found.append(FrontPoint(file=row["file"], values={name: float(value) for name, value in values.items()}))
        except (KeyError, TypeError, ValueError):
            continue
    return tuple(found)


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _short(value: float | None) -> float | None:
    """A number with as many digits as a plot can show; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.5g}")
