"""Standard output and standard error of all commands: texts go out whole, and nothing in them commands the terminal."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO

from hdas_dsl.text.printable import printable


def put(text: str) -> None:
    """Write a text to standard output: to a terminal in its encoding and printable, else as it is, in UTF-8."""
    stream = sys.stdout
    if stream.isatty():
        stream.write(printable(text))
    elif hasattr(stream, "buffer"):
        stream.flush()
        stream.buffer.write(text.encode("utf-8", "surrogateescape"))
        stream.buffer.flush()
    else:
        stream.write(text)


def put_bytes(data: bytes) -> None:
    """Write what is not text to standard output."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def line(text: object) -> None:
    """Write a line to standard output, as `put` does."""
    put(f"{text}\n")


def remark(text: object) -> None:
    """Write a line about a run to standard output; where nobody reads it any more, the run goes on."""
    try:
        line(text)
    except OSError:
        discard(sys.stdout)


def quiet(_: object) -> None:
    """Say nothing, as of several processes all but the main one do."""


def complain(text: str) -> None:
    """Write a line to standard error, printable; where that cannot be written, the exit code alone has to tell."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def open_streams() -> None:
    """Open those of the three standard streams that the shell closed: to nowhere, and as an empty file.

    Otherwise the next file that is opened would take the place of one, and get what is printed. Signs that an encoding
    lacks are written as escapes, whoever writes them: a bar of progress must not end a run on a terminal of ASCII.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDONLY if name == "stdin" else os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            setattr(sys, name, open(number, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard(stream: TextIO) -> None:
    """Let what is still buffered in a stream go nowhere, so that it is not written at exit either."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):  # A stream of a test has no descriptor.
        os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    with suppress(OSError):
        stream.flush()
