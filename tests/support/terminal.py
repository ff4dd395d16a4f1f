"""A terminal that is none: it remembers what is written to it, in the encoding that it says it has."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager


class Terminal(io.TextIOWrapper):
    """A stream that says of itself that somebody looks at it."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding=encoding, write_through=True)

    def isatty(self) -> bool:
        return True


@contextmanager
def terminal(encoding: str) -> Iterator[Terminal]:
    """Both outputs go to one terminal."""
    before, made = (sys.stdout, sys.stderr), Terminal(encoding)
    sys.stdout = sys.stderr = made
    try:
        yield made
    finally:
        sys.stdout, sys.stderr = before


def shown(encoding: str, main: Callable[[Sequence[str]], int], *words: object) -> tuple[int, bytes]:
    """The exit code of a command on a terminal, and the bytes that the terminal gets."""
    with terminal(encoding) as made:
        code = main([str(word) for word in words])
        return code, made.bytes.getvalue()
