"""Writing a discrete network for another tool."""

from __future__ import annotations

import torch

from compiler.backend.export import ExportReport, export
from compiler.backend.lowering.network import Network
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


def said(report: ExportReport) -> str:
    """One line on what was written and how it was checked."""
    beside = f" and {report.weights}" if report.weights is not None else ""
    checked = f"checked by running it: outputs differ by {report.difference:.1e} at most"
    return f"{report.path}{beside}: {report.parameters:,} parameters; {checked}"
