"""What is set otherwise than in the run of a folder, from the `settings.hsp` that it has there."""

from __future__ import annotations

from dataclasses import replace

from compiler.searcher.run_files import SETTINGS
from hdas_dsl.diff.differ import diff
from hdas_dsl.diff.model import Change
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.reading import read_named
from hdas_dsl.tree import ast

from .config import RunConfig


def changed(config: RunConfig, settings: str, phase: str = "") -> tuple[str, ...]:
    """A clause for each setting of a run that is to go on, and of its phase, that ``settings`` has otherwise.

    None where the folder does not say: a run of an earlier version, or a damaged one, is refused all the same.
    """
    if not config.resume:
        return ()
    try:
        before, now = (parse_text(text) for text in (read_named(config.out / SETTINGS), settings))
    except (OSError, UnicodeDecodeError, HspError):
        return ()
    return tuple(_clause(change) for change in diff(_of_phase(before, phase), _of_phase(now, phase)).changes)


def _of_phase(module: ast.Module, phase: str) -> ast.Module:
    """A record with the settings of one phase: others may be left out of the command that goes on."""
    lines: list[ast.TopLine] = []
    for line in module.lines:
        if isinstance(line, ast.Search) and phase:
            kept = (item for item in line.settings if not isinstance(item, ast.Phase) or item.name == phase)
            lines.append(replace(line, settings=tuple(kept)))
        else:
            lines.append(line)
    return replace(module, lines=tuple(lines))


def _clause(change: Change) -> str:
    path = change.path.removeprefix(f"{change.copy}.")
    match change.left, change.right:
        case None, now:
            return f"`{path}` was not there, and is {now}"
        case before, None:
            return f"`{path}` was {before}, and is not there"
        case before, now:
            return f"`{path}` was {before}, and is {now}"
