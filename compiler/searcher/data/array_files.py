"""Arrays of a file of the user's: read from its format, or given by a function, as plain numpy arrays."""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file

from compiler.searcher.settings.datasets import ArrayFile, DataError

from .files import obstacle

Array = NDArray[np.generic]
TARGETS, TEST = "y", "_test"
"""The name of targets, and what ends the names of the arrays of a test part."""
ONLY = "x"
"""What the input of a network that has one may be called as well."""


@dataclass(frozen=True)
class Part:
    """Inputs, in the order of the network, and targets, a sample each along the first dimension; texts need none."""

    inputs: tuple[Array, ...]
    targets: Array | None


@dataclass(frozen=True)
class Arrays:
    """What a file holds."""

    train: Part
    test: Part | None = None


@dataclass(frozen=True)
class Wanted:
    """What is looked for: arrays by the names of a network's inputs.

    ``names`` says whether targets of a table may be names, which are numbered in the order of the alphabet.
    """

    inputs: tuple[str, ...]
    names: bool = False

    def every(self) -> tuple[str, ...]:
        """All names that arrays may have, in the order of a tuple that a function gives."""
        return *self.inputs, TARGETS, *(f"{name}{TEST}" for name in (*self.inputs, TARGETS))

    def of(self, known: Collection[str]) -> Wanted:
        """The same where arrays have these names: a single input may be called `x`."""
        single = len(self.inputs) == 1 and self.inputs[0] not in known
        return replace(self, inputs=(ONLY,)) if single else self

    def parts(self, found: Mapping[str, Array], path: str) -> Arrays:
        """The arrays, which are all there, or none of the test part.

        Raises:
            DataError: some are missing.
        """
        known = ", ".join(sorted(found)) or "none"
        for name in self.inputs:
            if name not in found:
                raise DataError(f"'{path}' has no array '{name}': its arrays are {known}")
        test = [name for name in self.inputs if f"{name}{TEST}" in found]
        if f"{TARGETS}{TEST}" in found and not test:
            raise DataError(f"'{path}' has 'y_test' without '{self.inputs[0]}_test'")
        if test and (f"{TARGETS}{TEST}" in found) != (TARGETS in found):
            raise DataError(f"'{path}' has only one of 'y' and 'y_test' for its two parts")
        if test and len(test) < len(self.inputs):
            missing = next(name for name in self.inputs if name not in test)
            raise DataError(f"'{path}' has no array '{missing}{TEST}' beside '{test[0]}{TEST}'")
        train = Part(tuple(found[name] for name in self.inputs), found.get(TARGETS))
        if not test:
            return Arrays(train)
        return Arrays(train, Part(tuple(found[f"{name}{TEST}"] for name in self.inputs), found.get(f"{TARGETS}{TEST}")))


def read_arrays(spec: ArrayFile, root: Path, made: Callable[[], object] | None, wanted: Wanted) -> Arrays:
    """The arrays of a file below ``root``, or what the function ``made`` gives.

    Raises:
        DataError: the file is missing or damaged, or has no such arrays.
    """
    if made is not None:
        return _given(_called(made, spec.path), spec.path, wanted)
    path = root / spec.path
    if why := obstacle(path):
        raise DataError(f"'{path}' {why}")
    match path.suffix:
        case ".csv":
            return _table(path, *_csv(path), spec.target, wanted)
        case ".parquet":
            return _table(path, *_parquet(path), spec.target, wanted)
        case ".safetensors":
            return _safetensors(path, wanted)
    return _npz(path, wanted)


def _npz(path: Path, wanted: Wanted) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            wanted = wanted.of(file.files)
            every = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise DataError(f"'{path}' is not a .npz of plain arrays: {error}") from None
    return wanted.parts(every, str(path))


def _safetensors(path: Path, wanted: Wanted) -> Arrays:
    try:
        every = load_file(path)
    except (SafetensorError, OSError, TypeError) as error:
        raise DataError(f"'{path}' is not a file of safetensors: {error}") from None
    return wanted.of(every).parts(every, str(path))


def _called(made: Callable[[], object], path: str) -> object:
    try:
        return made()
    except (Exception, SystemExit) as error:  # A function that exits would end the command without a word.
        raise DataError(f"'{path}' ends in {type(error).__name__}: {error}") from error


def _given(found: object, path: str, wanted: Wanted) -> Arrays:
    """What a function gave: a mapping by the names of an ``.npz``, or a tuple in their order."""
    names = wanted.of(found).every() if isinstance(found, Mapping) else wanted.every()
    if isinstance(found, tuple) and len(found) in (len(names) // 2, len(names)):
        found = dict(zip(names, found, strict=False))
    if not isinstance(found, Mapping) or set(found) - set(names):
        half = ", ".join(wanted.of(()).every()[: len(names) // 2])
        whole = ", ".join(wanted.of(()).every())
        raise DataError(f"'{path}' has to give ({half}), ({whole}), or a mapping of these names")
    try:
        every = {name: np.asarray(value) for name, value in found.items() if value is not None}
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"what '{path}' gives is not an array: {error}") from None
    return wanted.of(every).parts(every, path)


# ---------------------------------------------------------------- tables


def _csv(path: Path) -> tuple[list[str], list[list[str]]]:
    """The names and the columns of a table of texts."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is not a table: {error}") from None
    if len(head) < 2 or not rows:
        raise DataError(f"'{path}' is not a table: it needs a line of names, two columns, and a row")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise DataError(f"line {number} of '{path}' has {len(row)} columns, not {len(head)}")
    return head, [[row[index] for row in rows] for index in range(len(head))]


def _parquet(path: Path) -> tuple[list[str], list[list[object]]]:
    """The names and the columns of a table of Parquet."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DataError(f"'{path}' needs pyarrow: pip install 'hdas-dsl[parquet]'") from None
    try:
        found = parquet.read_table(path)
    except (ArrowException, OSError) as error:
        raise DataError(f"'{path}' is not a table of Parquet: {str(error).splitlines()[0]}") from None
    if found.num_columns < 2 or not found.num_rows:
        raise DataError(f"'{path}' is not a table: it needs two columns and a row")
    return list(found.column_names), [column.to_pylist() for column in found.columns]


def _table(
    path: Path, head: list[str], columns: Sequence[Sequence[object]], target: str | None, wanted: Wanted
) -> Arrays:
    """A table: the column of targets, and the others, which are numbers."""
    if len(wanted.inputs) > 1:
        raise DataError(f"'{path}' is a table, of which a network takes one input, not {len(wanted.inputs)}")
    if target is not None and target not in head:
        raise DataError(f"'{path}' has no column '{target}': its columns are {', '.join(head)}")
    at = len(head) - 1 if target is None else head.index(target)
    inputs = [column_of_numbers(column, path, head[index]) for index, column in enumerate(columns) if index != at]
    return Arrays(Part((np.stack(inputs, axis=1),), column_of_targets(columns[at], path, head[at], wanted.names)))


def column_of_targets(column: Sequence[object], path: Path, name: str, names: bool) -> Array:
    """Whole numbers, numbers, or the numbers of names."""
    try:
        if not any(isinstance(value, float) for value in column):
            return np.array([int(value) for value in column])  # type: ignore[call-overload]
    except (ValueError, TypeError):
        pass
    try:
        return column_of_numbers(column, path, name)
    except DataError:
        if not names or not all(isinstance(value, str) for value in column):
            raise
    return np.unique(np.array(column), return_inverse=True)[1]


def column_of_numbers(column: Sequence[object], path: Path, name: str) -> Array:
    """A column of a table as float32.

    Raises:
        DataError: a value is not a number.
    """
    found = []
    for number, value in enumerate(column, start=2 if path.suffix == ".csv" else 1):
        try:
            found.append(float(value))  # type: ignore[arg-type]
        except (ValueError, TypeError):
            where = "line" if path.suffix == ".csv" else "row"
            said = "nothing" if value is None else f"'{value}'"
            raise DataError(
                f"{where} {number} of '{path}' has {said} in column '{name}', which is not a number"
            ) from None
    return np.array(found, dtype=np.float32)
