"""Reading text files that users name."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a path names a file; not where nothing can have such a name, which is too long or holds a NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


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
    """The text of a file that another text names: as in `read_text`, but no pipe, whose end nobody here can know.

    Raises:
        OSError: it cannot be read, or is no file.
        UnicodeDecodeError: it is no text.
    """
    if unnameable(str(path)) is None and stat.S_ISFIFO(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is a pipe", str(path))
    return read_text(path)


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with a byte order mark or without; a pipe is read to its end.

    Raises:
        OSError: it cannot be read, or is a device, which may have no end.
        UnicodeDecodeError: it is no text.
    """
    if (why := unnameable(str(path))) is not None:
        raise OSError(errno.EINVAL, why, str(path))
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device", str(path))
    return path.read_text(encoding="utf-8-sig")
