"""Shell completion for `hdas` and the other programs, from the same declarations as help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .command import Command
from .option import Option, options

COMMON = ("--help", "--version", "--debug")
"""The options of every command."""


def flags_of(commands: Iterable[type[Command]], actions: bool) -> list[str]:
    """The flags of commands, each once; those that name them too, where they are ``actions`` of `hdas-compile`."""
    found = [flag for command in commands for item in options(command) for flag in item.flags if flag.startswith("--")]
    named = [command.action for command in commands if command.action] if actions else []
    return list(dict.fromkeys([*named, *found, *COMMON]))


# ---------------------------------------------------------------- bash, and zsh by it


def bash(actions: dict[str, type[Command]], programs: dict[str, tuple[type[Command], ...]]) -> Iterator[str]:
    """A function for each program: flags behind a dash, else files of the language and folders."""
    yield "_hdas_reply() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}"'
    yield '  if [[ "$word" == -* ]]; then COMPREPLY=($(compgen -W "$1" -- "$word")); return; fi'
    yield "  local IFS=$'\\n'"
    yield '  COMPREPLY=($(compgen -f -X "!*.hsp" -- "$word") $(compgen -d -- "$word"))'
    yield "}"
    yield "_hdas() {"
    yield '  local word="${COMP_WORDS[COMP_CWORD]}"'
    names = " ".join(actions)
    yield f'  if [[ "$COMP_CWORD" == 1 ]]; then COMPREPLY=($(compgen -W "{names}" -- "$word")); return; fi'
    yield '  case "${COMP_WORDS[1]}" in'
    for name, command in actions.items():
        yield f'    {name}) _hdas_reply "{" ".join(flags_of([command], actions=False))}" ;;'
    yield "  esac"
    yield "}"
    yield "complete -o filenames -F _hdas hdas"
    for program, commands in programs.items():
        function = "_" + program.replace("-", "_")
        yield f'{function}() {{ _hdas_reply "{" ".join(flags_of(commands, actions=len(commands) > 1))}"; }}'
        yield f"complete -o filenames -F {function} {program}"


# ---------------------------------------------------------------- fish


def fish(actions: dict[str, type[Command]], programs: dict[str, tuple[type[Command], ...]]) -> Iterator[str]:
    """A line for each flag, with what it is for."""
    for name, command in actions.items():
        yield f"complete -c hdas -n __fish_use_subcommand -f -a {name} -d {quoted(command.summary)}"
        for item in options(command):
            yield from _flag(f"hdas -n '__fish_seen_subcommand_from {name}'", item)
    for program, commands in programs.items():
        if len(commands) > 1:
            for command in commands:
                if command.action:
                    yield f"complete -c {program} -l {command.action[2:]} -d {quoted(command.summary)}"
        unique = {item.name: item for command in commands for item in options(command)}
        for item in unique.values():
            yield from _flag(program, item)


def _flag(where: str, item: Option) -> Iterator[str]:
    long = [flag[2:] for flag in item.flags if flag.startswith("--")]
    short = [f" -s {flag[1:]}" for flag in item.flags if not flag.startswith("--")]
    if long:
        yield f"complete -c {where} -l {long[0]}{''.join(short)}{' -r' if item.metavar else ''} -d {quoted(item.help)}"


def quoted(text: str) -> str:
    """A text as fish reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
