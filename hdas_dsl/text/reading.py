"""Reading text files that users name."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a path names a file; False also for impossible names, which are too long or hold a NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)
"""The kinds of things other than files that a path may name."""


def no_file(path: Path, shown: str | None = None) -> str:
    """A sentence on a path that names no file, with what it names instead; ``shown`` is written for the path."""
    name = f"'{path if shown is None else shown}'"
    if (why := unnameable(str(path))) is not None:
        return f"there is no file {name}: {why}"
    try:
        mode = path.stat().st_mode
    except PermissionError:
        return f"{name} may not be read"
    except OSError:
        return f"{name} is a link that leads to no file" if path.is_symlink() else f"there is no file {name}"
    kind = next((kind for holds, kind in KINDS if holds(mode)), None)
    return f"there is no file {name}" if kind is None else f"{name} is {kind}, not a file"


def resolved(path: Path) -> Path:
    """A path with its links followed, as far as they lead somewhere: `Path.resolve` raises at a link to itself."""
    return Path(os.path.realpath(path))


def unnameable(name: str) -> str | None:
    """Why no file can have such a name; None where one can."""
    if "\0" in name:
        return "no file has a NUL in its name"
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return "no file has half of a pair of surrogates in its name"
    return None


def read_named(path: Path) -> str:
    """The text of a file that another text names: as `read_text`, but a pipe is refused, since it may never end.

    Raises:
        OSError: it cannot be read, or is not a file.
        UnicodeDecodeError: it is not text in UTF-8.
    """
    if unnameable(str(path)) is None and stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a pipe", str(path))
    return read_text(path)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with a byte order mark or without; a pipe is read to its end.

    Raises:
        OSError: it cannot be read, or is a device, which may have no end.
        UnicodeDecodeError: it is not text.
    """
    if (why := unnameable(str(path))) is not None:
        raise OSError(errno.EINVAL, why, str(path))
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device", str(path))
    return path.read_text(encoding="utf-8-sig")
