"""Which metric a run is judged by, from the names that its files use."""

from __future__ import annotations

from collections.abc import Iterable

from compiler.searcher.settings.tasks import METRICS

from .model import Metric


def metric_of(names: Iterable[str]) -> Metric:
    """The metric of the first name that is one, such as ``mse`` or ``mse/valid``; else accuracy."""
    for name in names:
        task = METRICS.get(name.partition("/")[0])
        if task is not None:
            return Metric(name=task.metric, larger=task.larger, share=task.share)
    return Metric()
