"""Manual pages of all programs, from the same declarations as help."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from compiler.util.version import package_version

from .command import Command
from .option import Option, options
from .parser import action_with_value


def pages(named: tuple[type[Command], ...], programs: Mapping[str, tuple[type[Command], ...]]) -> dict[str, str]:
    """The page of `hdas`, whose actions are ``named``, and those of the other programs."""
    about = "search spaces of neural architectures as texts"
    made = {"hdas": _page("hdas", about, "hdas ACTION FILE [options]", _by_name(named))}
    for program, commands in programs.items():
        if len(commands) > 1:
            made[program] = _page(program, about, f"{program} FILE [ACTION] [options]", _by_flag(commands))
        else:
            (command,) = commands
            made[program] = _page(program, command.summary, f"{program} {places(command)}[options]", _whole(command))
    return made


def _page(program: str, summary: str, synopsis: str, body: Iterator[str]) -> str:
    lines = [
        f'.TH "{escaped(program.upper())}" 1 "" "hdas-dsl {package_version()}"',
        ".SH NAME",
        f"{escaped(program)} \\- {escaped(summary)}",
        ".SH SYNOPSIS",
        f".B {escaped(synopsis)}",
        *body,
        ".SH EXIT STATUS",
        "0 fine, 1 the file is wrong, 2 the command line is wrong, 3 a run failed, 130 interrupted.",
    ]
    return "\n".join(lines) + "\n"


def _by_name(commands: tuple[type[Command], ...]) -> Iterator[str]:
    for command in commands:
        yield f'.SH "{escaped(f"hdas {command.name} {places(command)}").strip()}"'
        yield from _described(command)


def _by_flag(commands: tuple[type[Command], ...]) -> Iterator[str]:
    for command in commands:
        yield f'.SH "{escaped(action_with_value(command).strip() or "Without an action")}"'
        yield from _described(command)


def _whole(command: type[Command]) -> Iterator[str]:
    yield ".SH DESCRIPTION"
    yield from _described(command)


def _described(command: type[Command]) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.__doc__ or "").split("\n\n"):
        yield from (".PP", escaped(" ".join(paragraph.split())))
    for item in options(command):
        yield from (".TP", f".B {escaped(spelled(item))}", escaped(explained(item)))


def spelled(item: Option) -> str:
    """An option with its value, or a position."""
    return " ".join(filter(None, (", ".join(item.flags), item.metavar)))


def explained(item: Option) -> str:
    """The purpose of an option, and its default."""
    return f"{item.help} (default: {item.otherwise})" if item.flags else item.help


def places(command: type[Command]) -> str:
    """The positions of a command, with a space behind."""
    found = [item.metavar for item in options(command) if not item.flags]
    return "".join(f"{name} " for name in found)


def escaped(text: str) -> str:
    """A text as roff shows it."""
    made = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{made}" if made.startswith((".", "'")) else made
