"""`hdas-compile FILE ACTION`: the action is a flag, such as ``--search``; without one the file is checked."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from compiler.util.errors import UsageError

from .command import Command
from .console import run
from .diff import diff_main
from .fmt import format_main
from .import_genotype import import_main
from .option import options
from .parser import CommandParser, Form, action_with_value, listed
from .table import PROGRAMS

# Scripts that were installed before these programs had files of their own call them here.
__all__ = ["compile_main", "compile_script", "diff_main", "format_main", "import_main"]

PROGRAM = "hdas-compile"

ACTIONS = PROGRAMS["hdas-compile"]
"""The commands that are flags of `hdas-compile`; the first, the check, has no flag."""


def compile_script() -> int:
    """`hdas-compile` as a process of its own: what it builds is neither collected on the way nor one by one at the end.

    Collecting would cost a check a fifth of its time, and a check drops next to nothing. Runs turn it on again.
    """
    gc.disable()
    code = compile_main()
    gc.freeze()
    return code


def compile_main(words: Sequence[str] | None = None) -> int:
    """`hdas-compile` on the words of the command line, or on others."""
    return run(PROGRAM, sys.argv[1:] if words is None else words, _choose)


def _choose(words: Sequence[str]) -> Command:
    action = action_of(words)
    return CommandParser(action, Form.FLAG, PROGRAM, ACTIONS, "" if action.action else _list_of_actions()).read(words)


def action_of(words: Sequence[str]) -> type[Command]:
    """The action whose flag stands among the words; the check where none does.

    Raises:
        UsageError: the words name two actions, of which neither has the other as its option.
    """
    given = {word.partition("=")[0] for word in words[: list(words).index("--") if "--" in words else None]}
    named = [action for action in ACTIONS if action.action and action.action in given]
    for action in named:
        own = {spelling for item in options(action) for spelling in item.flags}
        if all(other is action or other.action in own for other in named):
            return action
    if named:
        raise UsageError(f"{listed([str(action.action) for action in named])} are {len(named)} actions: name one")
    return ACTIONS[0]


def _list_of_actions() -> str:
    flags = {action_with_value(action): action.summary for action in ACTIONS if action.action}
    width = max(map(len, flags))
    lines = [f"  {flag:<{width}}  {summary}" for flag, summary in flags.items()]
    return "\n".join(["actions, each with options of its own (hdas-compile --search -h shows them):", *lines])
