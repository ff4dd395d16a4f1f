"""The data of a section, in the shape of the network that they are for."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util.errors import UsageError

from .config import RunConfig


def matching_data(settings: SearchSettings | TrainSettings, space: Elaborated, config: RunConfig) -> Data:
    """The data that settings name, as images (c, h, w) of the network's input.

    Raises:
        DataError: the data are missing, broken, or of another shape.
        UsageError: the network has another number of classes than the data.
    """
    channels, height, width = space.input.largest
    data = load_data(
        settings.data,
        config.data_root,
        download=config.download,
        input_shape=(channels, height, width),
        seed=settings.seed,
    )
    output = space.block.graph.output
    classes = None if output is None else space.block.graph.node(output).shape.c
    if classes != data.classes:
        hint = f"; add --set classes={data.classes}" if "classes" in dict(space.block.arguments) else ""
        raise UsageError(
            f"network '{space.name}' tells {classes} classes apart, but {data.name} has {data.classes}{hint}"
        )
    return data
