"""`hdas ACTION FILE`: all commands under one name."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence

from hdas_dsl.text.diagnostics import suggest

from .command import Command
from .console import run
from .parser import CommandParser, Form, Parser
from .terminal import NAMED

PROGRAM = "hdas"


def hdas_script() -> int:
    """`hdas` as a process of its own; see `compile_script`."""
    gc.disable()
    code = hdas_main()
    gc.freeze()
    return code


def hdas_main(words: Sequence[str] | None = None) -> int:
    """`hdas` on the words of the command line, or on others."""
    return run(PROGRAM, sys.argv[1:] if words is None else words, _choose)


def _choose(words: Sequence[str]) -> Command:
    known = {command.name: command for command in NAMED}
    if words and words[0] in known:
        return CommandParser(known[words[0]], Form.NAME, PROGRAM, NAMED).read(words[1:])
    width = max(map(len, known))
    lines = [f"  {name:<{width}}  {command.summary}" for name, command in known.items()]
    listed = "\n".join(["actions, each with options of its own (hdas search -h shows them):", *lines])
    about = "Search spaces of neural architectures as texts: check, search, train, export them."
    parser = Parser(PROGRAM, f"{PROGRAM} ACTION FILE [options]", about, listed)
    parser.add_argument("action", metavar="ACTION", help="what to do, see below")
    parser.add_common()
    action = parser.parse_known_args(words)[0].action
    hint = suggest(action, known) or f"known: {', '.join(known)}"
    return parser.error(f"there is no action '{action}': {hint}")
