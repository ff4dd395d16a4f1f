"""A file as Python users ask for it, with settings and plugins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from compiler.backend.plugins import allow
from compiler.program.overrides import override_of
from compiler.program.request import Request
from hdas_dsl.text.reading import is_file, no_file

FilePath = str | Path


def request_of(
    path: FilePath, settings: Mapping[str, object], network: str | None = None, plugins: Sequence[FilePath] = ()
) -> Request:
    """A file with parameters and settings by name.

    Raises:
        FileNotFoundError: there is no such file.
        UsageError: a setting or a plugin is none.
    """
    if not is_file(Path(path)):
        raise FileNotFoundError(no_file(Path(path)))
    overrides = tuple(override_of(name, value) for name, value in settings.items())
    return Request(Path(path), overrides, network, externals=allow(plugins))
