"""The settings of a search as a section of the language, spelled out: with its method, overrides and defaults."""

from __future__ import annotations

from dataclasses import replace

from compiler.program.model import Phase, Program
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module


def search_text(program: Program) -> str:
    """The `search` section of a program with every setting that holds; empty where it has none.

    A file with this section instead of its own runs the same search.
    """
    if not program.phases:
        return ""
    named = [phase for phase in program.phases if phase.name]
    lines = tuple(_phase(phase) for phase in named) or _lines(program.phases[0])
    target = None if named else program.phases[0].target
    module = ast.Module((ast.Search(target, None, lines),))
    return print_module(module).partition("\n")[2].strip() + "\n"


def _phase(phase: Phase) -> ast.Phase:
    assert phase.target is not None, "a phase of a file names its network"
    return ast.Phase(ast.Ident(phase.name), phase.target, _lines(phase))


def _lines(phase: Phase) -> tuple[ast.SettingLine, ...]:
    """The settings of a phase, and its statements without the comments and gaps around them."""
    statements = tuple(replace(line, note=None, gap=False) for line in phase.statements)
    return (*_settings(phase.settings), *statements)


def _settings(settings: SearchSettings) -> tuple[ast.Setting, ...]:
    made = []
    for name, text in settings.written(full=True).items():
        value, _ = parse_expression(text)
        assert value is not None, f"a described setting parses: {text}"
        made.append(ast.Setting(ast.Ident(name), value))
    return tuple(made)
