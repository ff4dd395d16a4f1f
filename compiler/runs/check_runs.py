"""What data ask of a network, as far as it can be seen without them. No torch."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.searcher.settings.datasets import BUILT_IN
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.tasks import CLASSIFICATION
from compiler.util.errors import UsageError


def check_runs(space: Elaborated, settings: SearchSettings | TrainSettings) -> None:
    """Check that a network has one input, an image where data are images, and that a classifier gives one vector."""
    check_single_input(space)
    if type(settings.data) in BUILT_IN and len(space.input.dims) != 3:
        raise UsageError(f"network '{space.name}' takes {space.input}, which is no image")
    graph = space.block.graph
    shape = None if graph.output is None else graph.node(graph.output).shape
    if settings.task == CLASSIFICATION and shape is not None and shape.space:
        hint = "an image has one label: give one vector, as `classifier` does"
        raise UsageError(f"network '{space.name}' gives {shape}, which is no vector of classes; {hint}")


def check_single_input(space: Elaborated) -> None:
    """Check that a network has one input."""
    if (count := len(space.block.graph.inputs)) != 1:
        raise UsageError(f"network '{space.name}' takes {count} inputs; data and exports have one, an image")
