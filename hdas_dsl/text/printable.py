"""Text of files and file names as it may be shown on a terminal: without anything that a terminal obeys."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with an escape, such as ``\\x1b``, for each character that cannot be seen; blanks, tabs and lines stay.

    Terminals obey control characters, and marks of direction show letters in another order than they stand in.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in "\n\t" else _escape(char) for char in text)


def encodable(name: str) -> str:
    """The name of a file as UTF-8 can say it, which has to quote it: with escapes for the bytes that are not text.

    Python keeps those as surrogates.
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
