"""Writing a discrete network for another tool."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from compiler.backend.export import ExportReport, export
from compiler.backend.lowering.network import Network
from compiler.searcher.run_files import RESULT
from compiler.util.seeds import mix

from .plan import ExportPlan
from .weights import read_weights


def export_network(plan: ExportPlan) -> ExportReport:
    """Export a network, with its weights where given.

    Raises:
        ExportError: the network cannot be written in this form, or computes something else there.
        UsageError: the weights belong to another network.
    """
    space = plan.network
    state = None if plan.weights is None else read_weights(plan.weights, Network(space).state_dict())
    if state is None:
        torch.manual_seed(mix(plan.program.train_settings.seed, "init"))
    return export(space, plan.kind, plan.out, state)


def said(report: ExportReport, weights: Path | None = None) -> str:
    """A line on what was written and how it was checked, and one on the images that trained weights are for."""
    beside = f" and {report.weights}" if report.weights is not None else ""
    checked = f"checked by running it: outputs differ by {report.difference:.1e} at most"
    return f"{report.path}{beside}: {report.parameters:,} parameters; {checked}{_asks_for(weights)}"


def _asks_for(weights: Path | None) -> str:
    """How the training that left these weights normalised its images, as a line; none where that is not known."""
    if weights is None:
        return ""
    try:
        images = json.loads((weights.parent / RESULT).read_bytes())["images"]
        mean, std = (", ".join(f"{value:.4f}" for value in images[name]) for name in ("mean", "std"))
    except (OSError, ValueError, KeyError, TypeError):  # Weights from elsewhere, or of data that are numbers already.
        return ""
    return f"\nit takes images in [0, 1], less their mean of {mean}, divided by their standard deviation of {std}"
