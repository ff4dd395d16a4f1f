"""The files of an editor's folders that are not open, for names that stand in several files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from itertools import islice
from pathlib import Path

from hdas_dsl.text.reading import read_text
from hdas_dsl.units import LIBRARY

from .document import Document, read_document

MOST = 2000
"""How many files of a folder are looked at."""


def documents(
    folders: Iterable[Path], name: str, document: Document, opened: Collection[Path]
) -> Iterator[tuple[str, Document]]:
    """The files below some folders in which a name stands, each with its address.

    Args:
        folders: where they lie; what begins with a dot, and the shipped library, is passed over.
        name: the name.
        document: what has read files that these may use too.
        opened: files that are read elsewhere, resolved.
    """
    word = re.compile(rf"\b{re.escape(name)}")
    for path in _files(folders):
        if path in opened or path.is_relative_to(LIBRARY / "lib"):
            continue
        try:
            text = read_text(path)
        except (OSError, UnicodeDecodeError):
            continue
        if word.search(text) is None:
            continue
        found = read_document(text, path, document)
        if found.unit is not None and found.unit is not document.unit:  # Else nothing of the text could be read.
            yield path.as_uri(), found


def _files(folders: Iterable[Path]) -> list[Path]:
    """The files of the language below some folders, resolved, each once."""
    found: set[Path] = set()
    for folder in folders:
        every = (path for path in folder.rglob("*.hsp") if not _is_hidden(path.relative_to(folder)))
        found.update(path.resolve() for path in islice(every, MOST))
    return sorted(found)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)
