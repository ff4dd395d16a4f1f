"""Reading text files that users name."""

from __future__ import annotations

import errno
import stat
from pathlib import Path


def is_file(path: Path) -> bool:
    """Whether a path names a file; not where nothing can have such a name, which is too long or holds a NUL."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_text(path: Path) -> str:
    """The text of a file in UTF-8, with a byte order mark or without; a pipe is read to its end.

    Raises:
        OSError: it cannot be read, or is a device, which may have no end.
        UnicodeDecodeError: it is no text.
    """
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "no file has a NUL in its name", str(path))
    mode = path.stat().st_mode
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise OSError(errno.EINVAL, "it is a device", str(path))
    return path.read_text(encoding="utf-8-sig")
