"""Datasets of Hugging Face as `save_to_disk` leaves them, as plain numpy arrays. Nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from compiler.searcher.settings.datasets import DataError

from .array_files import ONLY, TARGETS, Array, Arrays, Part, Wanted, column_of_numbers, column_of_targets

if TYPE_CHECKING:
    from datasets import Dataset

TESTS = ("test", "validation")
"""The splits that may be the test part, the first of them that there is."""
LABELS = ("label", "labels", TARGETS)
"""What the column of the targets may be called without being named; else it is the last."""
COLOURS = 4
"""The dimensions of images in colour, (n, h, w, c)."""


def read_saved(path: Path, target: str | None, wanted: Wanted) -> Arrays:
    """The columns of a dataset, or of its splits: those called as inputs, the only one, or all numbers as a table.

    Images become (n, c, h, w). Names of classes are numbered, in the order of the alphabet.

    Raises:
        DataError: the dataset cannot be read, or its columns are not such arrays.
    """
    try:
        from datasets import Dataset, load_from_disk
    except ImportError:
        raise DataError(f"'{path}' needs datasets: pip install 'hdas-dsl[huggingface]'") from None
    try:
        found = load_from_disk(str(path))
    except IndexError:  # What the library says of a table of no batches.
        raise DataError(f"'{path}' has a part without samples, or is damaged") from None
    except Exception as error:  # Of a damaged folder the library raises what its parts raise.
        why = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DataError(f"'{path}' is not a dataset that `save_to_disk` has left: {why}") from None
    if isinstance(found, Dataset):
        return Arrays(*_parts([found], path, target, wanted))
    if "train" not in found:
        raise DataError(f"'{path}' has no split 'train': its splits are {', '.join(found) or 'none'}")
    tests = [found[name] for name in TESTS if name in found]
    return Arrays(*_parts([found["train"], *tests[:1]], path, target, wanted))


def _parts(splits: Sequence[Dataset], path: Path, target: str | None, wanted: Wanted) -> Iterator[Part]:
    """The inputs and the targets of each split; names of classes are numbered in all splits alike."""
    columns = list(splits[0].column_names)
    if target is not None and target not in columns:
        raise DataError(f"'{path}' has no column '{target}': its columns are {', '.join(columns)}")
    wanted = wanted.of(columns)
    if target is None and len(columns) > len(wanted.inputs):
        target = next((name for name in LABELS if name in columns), columns[-1])
    others = [name for name in columns if name != target]
    inputs = [_inputs(split, others, path, wanted) for split in splits]
    if target is None:
        yield from (Part(each, None) for each in inputs)
        return
    found = np.concatenate([_array(split, target, path) for split in splits])
    targets = found if found.ndim > 1 else column_of_targets(found.tolist(), path, target, wanted.names)
    ends = np.cumsum([len(split) for split in splits])[:-1]
    yield from (Part(*each) for each in zip(inputs, np.split(targets, ends), strict=True))


def _inputs(split: Dataset, others: Sequence[str], path: Path, wanted: Wanted) -> tuple[Array, ...]:
    """The columns called as inputs, the only one, or all of them as a table."""
    if len(others) == 1 and wanted.inputs == (ONLY,):
        return (_channels_first(_array(split, others[0], path)),)
    if set(wanted.inputs) <= set(others):
        return tuple(_channels_first(_array(split, name, path)) for name in wanted.inputs)
    if len(wanted.inputs) > 1 or not others:
        missing = next(name for name in wanted.inputs if name not in others)
        raise DataError(f"'{path}' has no column '{missing}': its columns are {', '.join(split.column_names)}")
    rows = [column_of_numbers(_flat(_array(split, name, path), path, name), path, name) for name in others]
    return (np.stack(rows, axis=1),)


def _array(split: Dataset, name: str, path: Path) -> Array:
    """A column, a sample each along the first dimension."""
    found = np.asarray(split.select_columns([name]).with_format("numpy")[:][name])
    if found.dtype == object and not all(isinstance(value, str | None) for value in found):
        raise DataError(f"the samples in column '{name}' of '{path}' are of several shapes, or no numbers")
    return found


def _channels_first(column: Array) -> Array:
    """Images of bytes, (n, h, w) or (n, h, w, c), with channels first; other arrays as they are."""
    if column.dtype != np.uint8 or column.ndim < COLOURS - 1:
        return column
    return np.moveaxis(column, -1, 1) if column.ndim == COLOURS else column[:, None]


def _flat(column: Array, path: Path, name: str) -> Sequence[object]:
    """A column of plain values."""
    if column.ndim > 1:
        hint = "call it as the input of the network, or leave no other column beside it"
        raise DataError(f"column '{name}' of '{path}' holds arrays, which are not part of a table: {hint}")
    values: Sequence[object] = column.tolist()
    return values
