"""By what a run judges, and how good what it trained is, as its folder says. No torch."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from compiler.searcher.run_files import RECORD, RESULT
from compiler.searcher.settings.metric import Metric


class RunMetrics(BaseModel):
    """The metrics in ``run.json``; runs from before there were tasks have accuracies."""

    model_config = ConfigDict(frozen=True)

    metrics: tuple[Metric, ...] = ()
    """The metrics of the tasks, each once, that of the last phase last."""
    judged: Metric | None = None
    """The metric of an explorer's scores, where it is no metric of a task."""

    @property
    def scored(self) -> Metric:
        """The metric of the derived architecture's score."""
        return self.judged or Metric.named((), self.metrics)


def metrics_of(folder: Path) -> RunMetrics:
    """The metrics that a run recorded."""
    try:
        return RunMetrics.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return RunMetrics()


def tested_of(folder: Path) -> tuple[Metric, float | None]:
    """The metric of the training in a folder, and its value in the test, which is none before."""
    metric = Metric.named((), metrics_of(folder).metrics)
    try:
        found = json.loads((folder / RESULT).read_bytes())
        return metric, float(found[metric.name])
    except (OSError, ValueError, KeyError, TypeError):
        return metric, None
