"""Arrays of a file of the user's: read from ``.npz`` or ``.csv``, or given by a function, as plain numpy arrays."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from compiler.searcher.settings.datasets import ArrayFile, DataError

from .files import obstacle

Array = NDArray[np.generic]
NAMES = ("x", "y", "x_test", "y_test")


@dataclass(frozen=True)
class Arrays:
    """Inputs and targets, a sample each along the first dimension; without targets, inputs are texts."""

    x: Array
    y: Array | None
    x_test: Array | None = None
    y_test: Array | None = None


def read_arrays(spec: ArrayFile, root: Path, made: Callable[[], object] | None, *, names: bool) -> Arrays:
    """The arrays of a file below ``root``, or what the function ``made`` gives.

    ``names``: whether targets of a table may be names, which are numbered in the order of the alphabet.

    Raises:
        DataError: the file is missing or damaged, or has no such arrays.
    """
    if made is not None:
        return _given(_called(made, spec.path), spec.path)
    path = root / spec.path
    if why := obstacle(path):
        raise DataError(f"'{path}' {why}")
    return _table(path, spec.target, names) if path.suffix == ".csv" else _npz(path)


def _npz(path: Path) -> Arrays:
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in NAMES if name in file.files}
            known = ", ".join(sorted(file.files)) or "none"
    except (ValueError, OSError, EOFError, BadZipFile) as error:
        raise DataError(f"'{path}' is no .npz of plain arrays: {error}") from None
    if "x" not in found:
        raise DataError(f"'{path}' has no array 'x': its arrays are {known}")
    return _paired(found, str(path))


def _called(made: Callable[[], object], path: str) -> object:
    try:
        return made()
    except Exception as error:
        raise DataError(f"'{path}' ends in {type(error).__name__}: {error}") from error


def _given(found: object, path: str) -> Arrays:
    """What a function gave: a mapping by the names of an ``.npz``, or a tuple in their order."""
    if isinstance(found, tuple) and len(found) in (2, 4):
        found = dict(zip(NAMES, found, strict=False))
    if not isinstance(found, Mapping) or "x" not in found or set(found) - set(NAMES):
        raise DataError(f"'{path}' has to give (x, y), (x, y, x_test, y_test), or a mapping of these names")
    try:
        return _paired({name: np.asarray(value) for name, value in found.items() if value is not None}, path)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"what '{path}' gives is no array: {error}") from None


def _paired(found: Mapping[str, Array], path: str) -> Arrays:
    if "y_test" in found and "x_test" not in found:
        raise DataError(f"'{path}' has 'y_test' without 'x_test'")
    if "x_test" in found and ("y_test" in found) != ("y" in found):
        raise DataError(f"'{path}' has only one of 'y' and 'y_test' for its two parts")
    return Arrays(found["x"], found.get("y"), found.get("x_test"), found.get("y_test"))


def _table(path: Path, target: str | None, names: bool) -> Arrays:
    """A table with a line of names: the column of targets, and the others, which are numbers."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            head, *rows = [row for row in csv.reader(file) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' is no table: {error}") from None
    if len(head) < 2 or not rows:
        raise DataError(f"'{path}' is no table: it needs a line of names, two columns, and a row")
    if target is not None and target not in head:
        raise DataError(f"'{path}' has no column '{target}': its columns are {', '.join(head)}")
    at = len(head) - 1 if target is None else head.index(target)
    for number, row in enumerate(rows, start=2):
        if len(row) != len(head):
            raise DataError(f"line {number} of '{path}' has {len(row)} columns, not {len(head)}")
    columns = [[row[index] for row in rows] for index in range(len(head))]
    inputs = [_numbers(column, path, head[index]) for index, column in enumerate(columns) if index != at]
    return Arrays(np.stack(inputs, axis=1), _targets(columns[at], path, head[at], names))


def _targets(column: list[str], path: Path, name: str, names: bool) -> Array:
    """Whole numbers, numbers, or the numbers of names."""
    try:
        return np.array([int(text) for text in column])
    except ValueError:
        pass
    try:
        return _numbers(column, path, name)
    except DataError:
        if not names:
            raise
    return np.unique(np.array(column), return_inverse=True)[1]


def _numbers(column: list[str], path: Path, name: str) -> Array:
    found = []
    for number, text in enumerate(column, start=2):
        try:
            found.append(float(text))
        except ValueError:
            raise DataError(f"line {number} of '{path}' has '{text}' in column '{name}', which is no number") from None
    return np.array(found, dtype=np.float32)
