"""A file as Python users ask for it, with settings and plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler.backend.plugins import allow
from compiler.program.overrides import override_of
from compiler.program.request import Request
from compiler.util.errors import MissingFileError
from hdas_dsl.text.reading import is_file, no_file, read_text

FilePath = str | Path


def file_at(path: FilePath) -> Path:
    """A path that names a file.

    Raises:
        MissingFileError: it names none.
    """
    if not is_file(Path(path)):
        raise MissingFileError(no_file(Path(path)))
    return Path(path)


def text_at(path: FilePath) -> str:
    """The text of a file, or what a pipe gives.

    Raises:
        MissingFileError: there is no such file.
        OSError: it cannot be read.
    """
    try:
        return read_text(Path(path))
    except FileNotFoundError:
        raise MissingFileError(no_file(Path(path))) from None


def request_of(
    path: FilePath, settings: Mapping[str, object], network: str | None = None, plugins: Sequence[FilePath] = ()
) -> Request:
    """A file with parameters and settings by name.

    Raises:
        MissingFileError: there is no such file.
        UsageError: a setting or a plugin is none.
    """
    file = file_at(path)
    overrides = tuple(override_of(name, value) for name, value in settings.items())
    return Request(file, overrides, network, externals=allow(plugins))
