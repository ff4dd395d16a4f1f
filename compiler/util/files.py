"""Writing files so that a reader, a full disk or a power cut never finds a part of one.

Every file that the project writes goes through here; logs, which grow line by line, are appended to instead.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

UNFINISHED = ".writing-"
"""The start of the names of files that are being written."""


def atomic_write(path: Path, data: bytes | str) -> None:
    """Write a file as a whole: afterwards, and after any failure, ``path`` holds the old content or the new one.

    The new content is written to another file of the same folder, synced, and renamed over ``path``. Permissions are
    those that a plain write would give. A symbolic link is followed; a device or a pipe is written to directly.

    Args:
        path: the file; its folder has to exist.
        data: the content; a text is encoded as UTF-8.

    Raises:
        OSError: the file cannot be written; nothing is left beside it.
    """
    content = data.encode("utf-8") if isinstance(data, str) else data
    with replacing(path) as part:
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT, 0o666)
        try:
            _write_all(descriptor, content)
        finally:
            os.close(descriptor)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path for what a library writes by itself: renamed over ``path`` when the block ends well.

    The temporary file lies in the folder of ``path`` and has its suffix. The rest is as in `atomic_write`.

    Raises:
        OSError: ``path`` is a folder or must not be written, or the disk fails.
    """
    mode = _mode_of(path)
    if mode is not None and stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if mode is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    if mode is not None and not stat.S_ISREG(mode):
        yield path
        return
    target = Path(os.path.realpath(path))
    part = target.with_name(f"{UNFINISHED}{secrets.token_hex(8)}{target.suffix[:64]}")
    try:
        yield part
        _sync(part)
        if mode is not None:
            os.chmod(part, stat.S_IMODE(mode))
        os.replace(part, target)
        _sync_folder(target.parent)
    except OSError as error:
        if error.errno is None or error.filename not in (str(part), None):
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Give the errors of writing to an open file, which do not say which, its path."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from None


def remove_unfinished(folder: Path) -> None:
    """Remove the temporary files in ``folder`` that killed processes left. No other process may write there.

    Raises:
        OSError: one cannot be removed.
    """
    for path in folder.glob(f"{UNFINISHED}*"):
        if path.is_file() and not path.is_symlink():
            path.unlink(missing_ok=True)


def _mode_of(path: Path) -> int | None:
    """Kind and permissions of a file; None where there is none."""
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes; a single call may write fewer."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync(path: Path) -> None:
    """Have a file's content, or a folder's list of files, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Make a rename in a folder durable, where the system can: some network file systems refuse (EINVAL)."""
    if os.name != "posix":
        return
    try:
        _sync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
