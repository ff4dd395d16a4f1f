"""What data ask of a network, as far as it can be seen without them. No torch."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.program.task_fit import LOOP
from compiler.searcher.settings.datasets import BUILT_IN, ArrayFile
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.tasks import CLASSIFICATION, OwnTask
from compiler.util.errors import UsageError
from compiler.util.plural import plural


def check_runs(space: Elaborated, settings: SearchSettings | TrainSettings) -> None:
    """Check that a network has one input where data have, an image, and that a classifier gives one vector."""
    if not isinstance(settings.data, ArrayFile):
        check_single_input(space, f"`data = {settings.data.word}` has one")
    if type(settings.data) in BUILT_IN and len(space.input.dims) != 3:
        raise UsageError(f"network '{space.name}' takes {space.input}, which is not an image")
    shape, *more = space.block.graph.output_shapes
    if more and not isinstance(settings.task, OwnTask):
        raise UsageError(
            f"`task = {settings.task.word}` is of one output, and '{space.name}' gives {1 + len(more)}; {LOOP}"
        )
    if settings.task == CLASSIFICATION and shape.space:
        hint = "an image has one label: give one vector, as `classifier` does"
        raise UsageError(f"network '{space.name}' gives {shape}, which is not a vector of classes; {hint}")


def check_single_input(space: Elaborated, why: str) -> None:
    """Check that a network has one input; ``why`` says who asks for it."""
    if (count := len(space.block.graph.inputs)) != 1:
        raise UsageError(f"network '{space.name}' takes {plural(count, 'input')}, and {why}")
