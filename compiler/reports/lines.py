"""Files of JSON that a run writes, read as far as they are whole: a run may be writing, or may have been killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)


def parsed(path: Path, model: type[M]) -> M | None:
    """What a file holds; None where there is no such file, or another thing is in it."""
    try:
        return model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def parsed_lines(path: Path, model: type[M]) -> Iterator[M]:
    """What each line of a file holds, without lines of another form."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield model.model_validate_json(line)
        except ValidationError:
            continue
