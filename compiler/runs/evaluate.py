"""Testing saved weights."""

from __future__ import annotations

from pathlib import Path

from compiler.backend.lowering.network import Network
from compiler.searcher.engine.retrain import evaluate

from .data import matching_data
from .plan import TrainPlan
from .weights import load_weights


def metric_of(plan: TrainPlan, weights: Path) -> float:
    """The metric of the task of saved weights on the test part of the data, such as the accuracy from 0 to 1.

    Raises:
        UsageError: the weights belong to another network.
        DataError: the data are missing or do not fit.
    """
    settings, config = plan.settings, plan.config
    data = matching_data(settings, plan.network, config, plan.program.place("data"))
    network = Network(plan.network, target=config.target(settings))
    load_weights(network, weights)
    return evaluate(network, data.test, settings.batch, config.device, settings.workers, settings.task)
