"""Whether a network can be trained for the task of a section: refused with the place in the file. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from compiler.elaborate import Elaborated
from compiler.ir.shape import Ints, Shape
from compiler.searcher.settings.datasets import ArrayFile
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.tasks import CLASSIFICATION, OwnTask, Task
from compiler.searcher.settings.words import Value
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span

Values = Mapping[str, tuple[Value, Span]]
LOOP = "join them, or use a task of your own, or a loop of your own: the module of `compiler.load(...)` gives them all"
"""The hint how a network of several outputs is trained."""
IMAGE = 3
"""The dimensions of an image."""


def unfit(
    space: Elaborated, settings: SearchSettings | TrainSettings, values: Values, span: Span
) -> Iterator[Diagnostic]:
    """Each reason, at the line of the setting where ``values`` has it, else at ``span``, the section's.

    What a classification of images asks of a network, `compiler.runs.plan` sees when one is to run.
    """
    task, graph = settings.task, space.block.graph
    where = values["task"][1] if "task" in values else span
    taken, (given, *more) = space.input.largest, (shape.largest for shape in graph.output_shapes)
    if more and not isinstance(task, OwnTask):
        message = f"`task = {task.word}` is of one output, and '{space.name}' gives {1 + len(more)}"
        yield Diagnostic(Code.VALUE, where, message, LOOP)
    elif task != CLASSIFICATION:
        if task.known and not _fits(task, taken, (given, *more)):
            found = " and ".join(str(Shape(shape)) for shape in (given, *more))
            message = f"`task = {task.describe()}` asks for {task.facts.output}, and '{space.name}' gives {found}"
            yield Diagnostic(Code.VALUE, where, f"{message} of {Shape(taken)}")
        if graph.aux is not None and isinstance(settings, TrainSettings) and settings.aux_weight:
            message = f"`task = {task.word}` has no loss for the auxiliary head of '{space.name}'"
            yield Diagnostic(Code.VALUE, where, message, "leave the head out, or set `aux_weight = 0`")
    if isinstance(settings.data, ArrayFile):
        yield from _changes(space, settings, settings.data, values["data"][1] if "data" in values else span)


def _fits(task: Task, taken: Ints, given: tuple[Ints, ...]) -> bool:
    """Whether a network can be trained for a task; one of the user's own is asked with all outputs."""
    if isinstance(task, OwnTask):
        return task.fits(taken, given if len(given) > 1 else given[0])
    return task.fits(taken, given[0])


def _changes(
    space: Elaborated, settings: SearchSettings | TrainSettings, data: ArrayFile, span: Span
) -> Iterator[Diagnostic]:
    """Changes of images suit images alone, and those whose targets do not lie on their pixels."""
    changed = [name for name in ("crop", "flip", "cutout", "size") if getattr(data, name)]
    if not changed:
        return
    if len(space.input.dims) != IMAGE or len(space.block.graph.inputs) > 1:
        message = f"`{changed[0]}` changes images, and '{space.name}' takes {space.input}"
        yield Diagnostic(Code.VALUE, span, message, "leave it out")
    elif settings.task != CLASSIFICATION or "size" in changed:
        message = f"`{changed[0]}` would change the samples of a file and leave their targets"
        yield Diagnostic(Code.VALUE, span, message, "leave it out")
