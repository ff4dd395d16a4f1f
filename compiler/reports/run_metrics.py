"""By what a run judges, and how good what it trained is, as its folder says. No torch."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from compiler.searcher.run_files import RECORD, RESULT
from compiler.searcher.settings.metric import ACCURACY, MetricFacts


class RunMetrics(BaseModel):
    """The metric of a run, and what the scores of an explorer's trials are of; runs from before had accuracies."""

    model_config = ConfigDict(frozen=True)

    metric: MetricFacts = ACCURACY
    judged: MetricFacts = ACCURACY


ACCURACIES = RunMetrics()


def metrics_of(folder: Path) -> RunMetrics:
    """Those that ``run.json`` names."""
    try:
        return RunMetrics.model_validate_json((folder / RECORD).read_bytes())
    except (OSError, ValidationError):
        return ACCURACIES


def tested_of(folder: Path) -> float | None:
    """The metric on the test part, as ``result.json`` has it; None where there is none."""
    try:
        found = json.loads((folder / RESULT).read_bytes())
        return float(found[metrics_of(folder).metric.name])
    except (OSError, ValueError, KeyError, TypeError):
        return None
