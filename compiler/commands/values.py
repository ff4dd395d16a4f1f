"""How words of the command line become values; what is wrong with a word is a `UsageError` of one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable

from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import hinted, suggest

DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?|mps")


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a whole number") from None


def at_least(least: int) -> Callable[[str], int]:
    """A reader of whole numbers that are not below ``least``."""

    def read(text: str) -> int:
        number = whole(text)
        if number < least:
            raise UsageError(f"{number} is not at least {least}")
        return number

    return read


def between(least: int, most: int) -> Callable[[str], int]:
    """A reader of whole numbers from ``least`` to ``most``."""

    def read(text: str) -> int:
        number = at_least(least)(text)
        if number > most:
            raise UsageError(f"{number} is more than {most:,}")
        return number

    return read


def real(text: str) -> float:
    """A number."""
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a number") from None


def names(text: str) -> tuple[str, ...]:
    """Names with commas between them."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def one_of(*known: str) -> Callable[[str], str]:
    """A reader of a word of a closed list."""

    def read(text: str) -> str:
        if text not in known:
            hint = suggest(text, known)
            raise UsageError(hinted(f"'{text}' is none of {', '.join(known)}", hint))
        return text

    return read


def device(text: str) -> str:
    """The name of a device; whether this machine has it is seen when a run begins."""
    if DEVICE.fullmatch(text):
        return text
    hint = suggest(text, ("auto", "cpu", "cuda", "mps"))
    raise UsageError(hinted(f"there is no device '{text}': name auto, cpu, cuda, one GPU as cuda:0, or mps", hint))


def read_bytes(text: str) -> int:
    """A number of bytes: digits, and K, M, G or T for powers of 1024.

    Raises:
        UsageError: when it is none.
    """
    digits = text.strip().upper().removesuffix("B").removesuffix("I")
    power = "KMGT".find(digits[-1:]) + 1 if digits[-1:] else 0
    try:
        value = float(digits[:-1] if power else digits) * 1024**power
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise UsageError(f"'{text}' is not a size of memory: write it like 800M or 1.5G")
    return int(value)
