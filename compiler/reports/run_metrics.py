"""By what a run judges, how good what it trained is and how fast it learned, as its folder says. No torch."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import mean

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from compiler.searcher.run_files import HISTORY, RECORD, RESULT
from compiler.searcher.settings.metric import Metric

from .lines import parsed_lines


class RunMetrics(BaseModel):
    """The metrics in ``run.json``; runs from before there were tasks have accuracies."""

    model_config = ConfigDict(frozen=True)

    metrics: tuple[Metric, ...] = ()
    """The metrics of the tasks, each once, that of the last phase last."""
    judged: Metric | None = None
    """The metric of an explorer's scores, where it is not a metric of a task."""

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


class _Epoch(BaseModel):
    """What is read of a line of ``history.jsonl``."""

    epoch: int
    loss: float | None = Field(None, alias="loss/train")


def training_loss_of(folder: Path) -> float | None:
    """The mean loss of all epochs of the training in a folder; None where there is none, or it is not finite.

    Each step's loss is that of its images before they teach the network anything (Ru et al., "Speedy Performance
    Estimation for Neural Architecture Search", NeurIPS 2021, eq. 1).
    """
    losses = {line.epoch: line.loss for line in parsed_lines(folder / HISTORY, _Epoch)}
    finite = [loss for loss in losses.values() if loss is not None]
    return mean(finite) if finite and len(finite) == len(losses) else None
