"""Ways to damage a file, and files that are none."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path], object]


def fifo(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def socket_of(path: Path) -> None:
    path.unlink(missing_ok=True)
    here = Path.cwd()
    os.chdir(path.parent)  # The path of a socket may have some hundred bytes.
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def link(target: str) -> Damage:
    def damage(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return damage


def directory(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def cut(length: int) -> Damage:
    """Keep the first bytes, or leave out the last."""
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def content(data: bytes) -> Damage:
    return lambda path: path.write_bytes(data)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(bytes(data))


SPECIAL: dict[str, tuple[Damage, str]] = {
    "FIFO": (fifo, "is a FIFO"),
    "socket": (socket_of, "is a socket"),
    "device": (link("/dev/zero"), "is a device"),
    "directory": (directory, "is a directory"),
    "dangling link": (link("nowhere"), "is a link to nothing"),
    "link to itself": (lambda path: link(path.name)(path), r"cannot be read: Too many levels"),
    "unreadable": (link("/proc/self/mem"), r"cannot be read: (Input/output error|Permission denied)"),
}
