"""The settings of a search or a training as a section of the language, spelled out: with overrides and defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from compiler.elaborate import Elaborated
from compiler.program.model import Phase, Program
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module


def search_text(program: Program) -> str:
    """The `search` section of a program with every setting that holds; empty where it has none.

    A file with this section instead of its own runs the same search.
    """
    if not program.phases:
        return ""
    return _text(_search(program.phases)).partition("\n")[2].strip() + "\n"


def search_record(phases: Sequence[Phase]) -> str:
    """A file with the `search` section of the phases that a run searches, with the arguments of their networks too."""
    resolved = [replace(phase, target=_resolved(phase.target, phase.network)) for phase in phases]
    return _text(_search(resolved))


def train_record(program: Program, network: Elaborated) -> str:
    """A file with the `train` section that a training follows, with every setting and the arguments of its network."""
    train = program.train
    statements = () if train is None else tuple(line for line in train.settings if isinstance(line, ast.Require))
    target = _resolved(None if train is None else train.target, network)
    return _text(ast.Train(target, (*_settings(program.train_settings), *_alone(statements))))


def _text(section: ast.Search | ast.Train) -> str:
    return print_module(ast.Module((section,)))


def _search(phases: Sequence[Phase]) -> ast.Search:
    named = [phase for phase in phases if phase.name]
    lines = tuple(_phase(phase) for phase in named) or _lines(phases[0])
    return ast.Search(None if named else phases[0].target, None, lines)


def _resolved(target: ast.Expr | None, network: Elaborated) -> ast.Expr:
    """A network as a section names it, with every argument that is a number by name: those of the command line win."""
    called = target if isinstance(target, ast.Call) else None
    func = called.func if called else target or ast.Name(network.name)
    params = [param.name for param in network.root.definition.params]
    given: dict[str, ast.Expr] = {}
    for position, arg in enumerate(called.args if called else ()):
        given[arg.name or params[position]] = arg.value
    for name, text in network.block.arguments:
        value, _ = parse_expression(text.lower() if text in ("True", "False") else text)
        if isinstance(value, ast.Number | ast.Unary) or (isinstance(value, ast.Name) and text in ("True", "False")):
            given[name] = value
    for name in (param.name for param in network.root.definition.inputs if param.name in network.given):
        given[name] = ast.Tuple(tuple(ast.Number(str(size)) for size in network.input.largest))
    return ast.Call(func, tuple(ast.Arg(ast.Ident(name), value) for name, value in given.items())) if given else func


def _phase(phase: Phase) -> ast.Phase:
    assert phase.target is not None, "a phase of a file names its network"
    return ast.Phase(ast.Ident(phase.name), phase.target, _lines(phase))


def _lines(phase: Phase) -> tuple[ast.SettingLine, ...]:
    """The settings of a phase, and its statements without the comments and gaps around them."""
    return (*_settings(phase.settings), *_alone(phase.statements))


def _alone(statements: Sequence[ast.SettingLine]) -> tuple[ast.SettingLine, ...]:
    return tuple(replace(line, note=None, gap=False) for line in statements)


def _settings(settings: SearchSettings | TrainSettings) -> tuple[ast.Setting, ...]:
    made = []
    for name, text in settings.written(full=True).items():
        value, _ = parse_expression(text)
        assert value is not None, f"a described setting parses: {text}"
        made.append(ast.Setting(ast.Ident(name), value))
    return tuple(made)
