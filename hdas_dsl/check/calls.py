"""Calls: arguments against the signature of the called definition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import NUMERIC

from .report import Report


def named_arguments(call: ast.Call, report: Report) -> dict[str, Span]:
    """The names that are given by name, with their places; giving one twice is an error."""
    named: dict[str, Span] = {}
    for arg in call.args:
        if arg.ident is not None:
            name, span = arg.ident.name, arg.ident.span
            if name in named:
                report.error(Code.ARGUMENT, span, f"'{name}' is given twice", None, (named[name], "first here"))
            named[name] = span
    return named


def check_arguments(
    definition: ast.OpDef | ast.GraphDef,
    positional: Sequence[ast.Arg],
    named: Mapping[str, Span],
    report: Report,
    *,
    fed: bool,
    section: bool,
) -> None:
    """Report arguments whose names a definition does not have, and more positions than it takes.

    Args:
        definition: The called definition.
        positional: The arguments without a name.
        named: The names of the others.
        report: Takes the errors.
        fed: Whether the inputs come from the left of a pipe.
        section: Whether a section calls its network; it may name inputs, to give them other shapes.
    """
    name = definition.name
    known = [param.name for param in definition.params]
    inputs = [param.name for param in definition.inputs]
    other = (definition.name_span, "defined here")
    for given, span in named.items():
        if given in inputs and section:
            continue
        if given in inputs:
            message = f"'{given}' is an input of '{name}'; inputs are given by position"
            report.error(Code.ARGUMENT, span, message, None, other)
        elif given not in known:
            hint = suggest(given, known) or (f"it has {', '.join(known)}" if known else "it has none")
            report.error(Code.ARGUMENT, span, f"'{name}' has no parameter '{given}'", hint, other)
    most = len([n for n in known if n not in named]) + (0 if fed else len(inputs))
    if len(positional) > most:
        takes = _count(len(known), "parameter") if fed else _count(len(known) + len(inputs), "argument")
        message = f"'{name}' takes {takes}, not {len(positional) + len(named.keys() & {*known})}"
        signature = ", ".join(inputs) + (f"; {', '.join(known)}" if known else "")
        hint = f"its signature is ({signature})"
        if fed and len(inputs) > 1:
            hint += f", and what stands before `->` is all of its inputs: ({', '.join(inputs)}) -> {name}(...)"
        report.error(Code.ARGUMENT, positional[most].span, message, hint, other)


def check_builtin(
    call: ast.Call, name: str, positional: Sequence[ast.Arg], named: Mapping[str, Span], report: Report
) -> None:
    """A call of a function of the language: no names, and as many arguments as it takes."""
    for span in named.values():
        report.error(Code.ARGUMENT, span, f"'{name}' has no named parameters")
    count = NUMERIC.get(name)
    if not call.args:
        report.error(Code.ARGUMENT, call.span, f"'{name}' needs an argument")
    elif count is not None and len(positional) > count:
        message = f"'{name}' takes {_count(count, 'number')}, not {len(positional)}"
        report.error(Code.ARGUMENT, positional[count].span, message)


def _count(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"
