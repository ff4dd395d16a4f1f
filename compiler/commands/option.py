"""Options of commands as data: a command is a frozen dataclass, and each of its fields declares an option.

    @dataclass(frozen=True, kw_only=True)
    class Enumerate(Command):
        source: Source = group(Source)
        limit: int | None = option("--limit", "N", "list only the first N", read=whole, otherwise="all")

A group is a dataclass of options that several commands share. `parser.py` makes a parser of the fields, and an instance
of what it parsed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Option:
    """One option, or one position, of a command line.

    Attributes:
        flags: its spellings, such as ``-o`` and ``--out``; none for a position.
        metavar: what help calls its value; empty for a flag, which has none.
        help: what it is for, without a default.
        read: from a word of the command line to the value; a `UsageError` says what is wrong with the word.
        otherwise: what holds without it, as help says it.
        default: the value without it.
        many: it may be given several times.
        count: how many words its value has, 1 or more; ``+``: at least one.
        is_action: its value belongs to the name of the action: ``--sample N``, or ``hdas sample FILE N``.
    """

    flags: tuple[str, ...]
    metavar: str
    help: str
    read: Callable[[str], object] = str
    otherwise: str = ""
    default: object = None
    many: bool = False
    count: int | str = 1
    is_action: bool = False

    @property
    def name(self) -> str:
        """How messages call it: by its long spelling."""
        return self.flags[-1] if self.flags else self.metavar


class OptionGroup:
    """Options that several commands share: a frozen dataclass whose fields are made as those of a command."""

    title: ClassVar[str]
    """The heading of the options in help."""


def option(
    *words: str, read: Callable[[str], object] = str, default: object = None, otherwise: str = "", many: bool = False
) -> Any:
    """A field for an option with a value: its flags, the name of its value, and what it is for."""
    *flags, metavar, text = words
    value = () if many else default
    shown = otherwise or ("none" if many else str(default))
    return _field(Option(tuple(flags), metavar, text, read, shown, value, many))


def flag(*words: str) -> Any:
    """A field for an option without a value: its flags, and what it is for."""
    *flags, text = words
    return _field(Option(tuple(flags), "", text, otherwise="off", default=False))


def position(metavar: str, text: str, read: Callable[[str], object] = str, count: int | str = 1) -> Any:
    """A field for a word that stands by itself."""
    return _field(Option((), metavar, text, read, count=count))


def action_value(metavar: str, text: str, read: Callable[[str], object] = str, count: int = 1) -> Any:
    """A field for the value that belongs to the action."""
    return _field(Option((), metavar, text, read, count=count, is_action=True))


def command_line() -> Any:
    """A field for the words of the command line themselves."""
    return field(default=(), metadata={"words": True})


def group(members: type[OptionGroup]) -> Any:
    """A field for a group of options."""
    return field(metadata={"group": members})


def _field(made: Option) -> Any:
    if not made.flags:
        return field(metadata={"option": made})
    return field(default=made.default, metadata={"option": made})


def members(command: type) -> Iterator[tuple[str, Option | type[OptionGroup]]]:
    """The options and groups of a command or a group, by the names of their fields."""
    for item in fields(command):
        if not item.metadata.get("words"):
            yield item.name, item.metadata.get("option") or item.metadata["group"]


def options(command: type) -> Iterator[Option]:
    """All options of a command, those of its groups included."""
    for _, item in members(command):
        if isinstance(item, Option):
            yield item
        else:
            yield from options(item)
