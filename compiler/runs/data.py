"""The data of a section, in the shape of the network that they are for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from compiler.backend.lowering.inputs import vocabulary
from compiler.backend.plugins import own_function
from compiler.elaborate import Elaborated
from compiler.searcher.data.arrays import Fit, Taken, load_arrays
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.data.mask_folders import load_masks
from compiler.searcher.data.source import Shape
from compiler.searcher.engine.user_task import OwnBehaviour
from compiler.searcher.settings.datasets import ArrayFile, DataError, DataSpec, Folder, HuggingFace, MissingDataError
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.tasks import OwnTask, Segmentation
from compiler.util.errors import UsageError
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.text.source import NOWHERE, Span

from .config import RunConfig


def matching_data(
    settings: SearchSettings | TrainSettings, space: Elaborated, config: RunConfig, place: Span = NOWHERE
) -> Data:
    """The data that settings name, as images (c, h, w) of the network's input, or as samples of its task.

    ``place`` is that of the setting ``data``, where samples of a file, or masks, that do not fit are shown.

    Raises:
        DataError: the data are missing, broken, or of another shape.
        HspError: so are samples of a file, or masks, where there is a place to show.
        UsageError: the network has another number of classes than the data, or a function is not allowed.
    """
    spec, task = settings.data, settings.task
    match spec, task:
        case ArrayFile(), _:
            with _shown_at(place):
                data = _arrays(spec, settings, space, config)
        case Folder(), Segmentation():
            with _shown_at(place):
                data = load_masks(
                    spec, config.data_root, space.input.largest, _given(space)[0], task.ignore, settings.seed
                )
        case _:
            data = _images(spec, settings, space, config)
    if not isinstance(task, OwnTask):
        return data
    behaviour = OwnBehaviour(task.made, task.path, data.classes)
    given = tuple(shape.largest for shape in space.block.graph.output_shapes)
    for part in (data.train, data.test):
        behaviour.try_on(part.__getitems__(range(min(2, len(part)))), *given)
    return data.paired(behaviour.task.batch)


def _taken(space: Elaborated) -> tuple[Taken, ...]:
    """The inputs of a network."""
    graph = space.block.graph
    return tuple(
        Taken(param.name, graph.node(index).shape.largest, vocabulary(space.block, place))
        for place, (param, index) in enumerate(zip(space.root.definition.inputs, graph.inputs, strict=True))
    )


def _given(space: Elaborated) -> Shape:
    """The shape of the output of a network; of several, which only an own task takes, that of the first."""
    return space.block.graph.output_shapes[0].largest


def _images(spec: DataSpec, settings: SearchSettings | TrainSettings, space: Elaborated, config: RunConfig) -> Data:
    """Images in the size of the network's input; a task of the user's own may ask for another output than classes."""
    channels, height, width = space.input.largest
    data = load_data(
        spec,
        config.data_root,
        download=config.download,
        input_shape=(channels, height, width),
        seed=settings.seed,
    )
    classes, *_ = _given(space)
    if classes != data.classes and not isinstance(settings.task, OwnTask):
        hint = f"; add --set classes={data.classes}" if "classes" in dict(space.block.arguments) else ""
        outputs = f"outputs for {plural(classes, 'class', 'classes')}"
        raise UsageError(f"network '{space.name}' has {outputs}, but {data.name} has {data.classes}{hint}")
    return data


def _arrays(spec: ArrayFile, settings: SearchSettings | TrainSettings, space: Elaborated, config: RunConfig) -> Data:
    """The samples of a file, or of a function that the user allows."""
    fit = Fit(settings.task, _taken(space), _given(space))
    is_function = ".py:" in spec.path and not isinstance(spec, HuggingFace)
    made = own_function(space.externals, spec.path) if is_function else None
    return load_arrays(spec, config.data_root, fit, made=made, seed=settings.seed)


@contextmanager
def _shown_at(place: Span) -> Iterator[None]:
    """Shows what is wrong with data at a place of the file, if there is one."""
    try:
        yield
    except DataError as error:
        if place is NOWHERE or isinstance(error, MissingDataError):
            raise
        raise HspError([Diagnostic(Code.VALUE, place, str(error))]) from None
