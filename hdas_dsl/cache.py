"""The cache folder: compiled kernels and the tables of the grammar, which can be made again."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

NAME = "hdas-dsl"


def cache_folder() -> Path | None:
    """The folder, made if there is none: ``$XDG_CACHE_HOME/hdas-dsl``, else ``~/.cache/hdas-dsl``.

    It holds code that is run, so nobody but the user may be able to write into it: the folder is not a symbolic link,
    belongs to the user, is not writable by the group or others, and no folder above it may be renamed by everybody.

    Returns:
        An absolute path without links; None where there can be no such folder.
    """
    base = _base()
    if base is None:
        return None
    try:
        base.mkdir(parents=True, exist_ok=True)
        folder = base.resolve(strict=True) / NAME
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder if os.name != "posix" or _is_private(folder) else None
    except (OSError, RuntimeError):
        return None


def write_cached(file: Path, text: str) -> None:
    """Writes a file of the cache in one step, so that another process never reads half of it.

    An error of the file system is ignored: the cache only saves time.
    """
    with suppress(OSError):
        descriptor, part = tempfile.mkstemp(dir=file.parent)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
                stream.write(text)
            os.replace(part, file)
        except OSError:
            os.unlink(part)


def _base() -> Path | None:
    """The user's folder of caches. A relative path means nothing, as the XDG specification has it."""
    home = os.environ.get("HOME", os.path.expanduser("~"))
    for path in (Path(os.environ.get("XDG_CACHE_HOME", "")), Path(home) / ".cache"):
        if path.is_absolute():
            return path
    return None


def _is_private(folder: Path) -> bool:
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    above = (parent.stat().st_mode for parent in folder.parents)
    return own and not any(mode & stat.S_IWOTH and not mode & stat.S_ISVTX for mode in above)
