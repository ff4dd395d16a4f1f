"""`hdas completion SHELL` and `hdas manual DIR`: what belongs to all programs together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import OK
from .option import position
from .output import line, put
from .table import COMMANDS, PROGRAMS
from .values import one_of


@dataclass(frozen=True, kw_only=True)
class Completion(Command):
    """Print the completion of a shell, to be read by it when it starts.

    For bash: `eval "$(hdas completion bash)"` in .bashrc; for zsh the same, with zsh, in .zshrc; for fish:
    `hdas completion fish > ~/.config/fish/conf.d/hdas.fish`.
    """

    name: ClassVar[str] = "completion"
    summary: ClassVar[str] = "print what bash, zsh or fish completes"
    no_json: ClassVar[str] = "it prints a script for a shell"

    shell: str = position("SHELL", "bash, zsh or fish", read=one_of("bash", "zsh", "fish"))

    def run(self) -> int:
        """Print the script."""
        from .completion import bash, fish

        actions = {command.name: command for command in NAMED}
        if self.shell == "fish":
            put("\n".join(fish(actions, PROGRAMS)) + "\n")
        else:
            head = ["autoload -U +X bashcompinit && bashcompinit"] if self.shell == "zsh" else []
            put("\n".join([*head, *bash(actions, PROGRAMS)]) + "\n")
        return OK


@dataclass(frozen=True, kw_only=True)
class Manual(Command):
    """Write the manual pages, hdas.1 and those of the other programs, into a folder.

    `man ./hdas.1` shows one; `man` finds them by name in a folder man1 of MANPATH.
    """

    name: ClassVar[str] = "manual"
    summary: ClassVar[str] = "write manual pages"
    no_json: ClassVar[str] = "it writes files, and prints their names"

    folder: Path = position("DIR", "where they are written", read=Path)

    def run(self) -> int:
        """Write each page, and say where."""
        from compiler.util.files import atomic_write

        from .manual import pages

        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in pages(NAMED, PROGRAMS).items():
            atomic_write(self.folder / f"{name}.1", text)
            line(self.folder / f"{name}.1")
        return OK


NAMED: tuple[type[Command], ...] = (*COMMANDS, Completion, Manual)
"""The actions of `hdas`."""
