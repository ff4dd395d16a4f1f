"""The identity of a run, by which a checkpoint of another run is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

from compiler.analysis.requirements.evaluate import reported_quantities
from compiler.elaborate import Elaborated
from compiler.program.model import Program
from compiler.program.provenance import units
from compiler.searcher.data.load import Data


def fingerprint(program: Program, space: Elaborated, settings: str, data: Data | None, *files: Path | None) -> str:
    """A digest of all that a run depends on, in hexadecimal digits: a checkpoint with another one is refused.

    It covers the texts, tables, plugins, and ``files`` that it starts from, is taught by or looks up; the network's
    arguments and choices, the settings, the data.
    """
    digest = hashlib.sha256()
    for unit in units(program):
        digest.update(unit.sha256.encode())
    tables = [asked.total.file for asked in reported_quantities(space) if asked.total.file is not None]
    for path in (*tables, *space.externals.plugins.files, *(file for file in files if file is not None)):
        digest.update(path.read_bytes() if path.is_file() else b"")
    about = () if data is None else (data.name, str(data.shape), *filter(None, [data.digest]))
    parts = (space.name, str(space.block.arguments), settings, *about, str(list(space.decisions)))
    for part in parts:
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()
