"""Files that cannot be read, as reasons for a person; what is not a plain file is never opened, since that may hang."""

from __future__ import annotations

import os
import stat
from pathlib import Path

KINDS = {
    stat.S_IFDIR: "is a directory",
    stat.S_IFIFO: "is a FIFO",
    stat.S_IFSOCK: "is a socket",
    stat.S_IFCHR: "is a device",
    stat.S_IFBLK: "is a device",
}


def obstacle(path: Path) -> str:
    """Why ``path`` cannot be read as a file, as the end of a sentence; empty if it can be opened."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return "is a link to nothing" if path.is_symlink() else "is missing"
    except OSError as error:
        return unreadable(error)
    if not stat.S_ISREG(mode):
        return KINDS.get(stat.S_IFMT(mode), "is not a plain file")
    return "" if os.access(path, os.R_OK) else "cannot be read: Permission denied"


def unreadable(error: OSError) -> str:
    """What the system says of a file that it does not read, without the path."""
    return f"cannot be read: {error.strerror or error}"
