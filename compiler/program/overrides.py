"""Values of the command line, or of a Python call, that hold instead of a file's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Integral, Real

from compiler.elaborate.setting_values import expression, plain
from compiler.searcher.settings.words import Value
from compiler.util.errors import UsageError
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.tree import ast

_PATH = re.compile(r"[^\s\"(),=]+\.(py|npz|safetensors|csv|parquet)(:\w+)?")
"""What the settings that are files name. A shell takes the quotes away, and Python has its own."""


@dataclass(frozen=True)
class Override:
    """A parameter of the network, or a setting, by dotted name, and its value.

    Only ``--set`` gives an expression of the language: a parameter may be any, such as the name of a cell.
    """

    name: str
    value: Value | ast.Expr
    said: str
    """The option, such as ``--seed 3``, as messages quote it."""
    keeps: bool = False
    """Whether other data come with the changes that the section makes to its own: crop, cutout, flip, share."""

    def setting(self) -> Value:
        """The value of a setting.

        Raises:
            ElaborationError: the expression is none that a setting may have.
        """
        return plain(self.value) if isinstance(self.value, ast.Node) else self.value

    def argument(self) -> ast.Expr:
        """The value of a parameter, to be evaluated where the network is named.

        Raises:
            UsageError: no parameter may have this value.
        """
        if isinstance(self.value, ast.Node):
            return self.value
        try:
            return expression(self.value)
        except ValueError as error:
            raise UsageError(f"{self.said}: {error}") from None


def read_override(text: str) -> Override:
    """``name=value``, as ``--set`` has it.

    Raises:
        UsageError: the text is not of that form.
    """
    name, sign, value = text.partition("=")
    expr, diagnostics = parse_expression(_quoted(name.strip(), value), f"--set {name.strip()}")
    if not sign or not name.strip():
        raise UsageError(f"--set {text}: the form is name=value")
    if expr is None:
        raise UsageError(f"--set {text}: {diagnostics[0].message}")
    return Override(name.strip(), expr, f"--set {text}")


def override_of(name: str, value: object) -> Override:
    """A keyword argument of the Python interface; double underscores stand for dots (``weights__lr=0.1``).

    Numbers, truth values, None, tuples and lists are values; a string is an expression of the language, as in
    ``data="digits"``, ``Cell="Fixed"`` or ``data__path='"images"'``. Files of data and of tasks
    need no quotes of their own: ``data="waves.npz"``, ``task="mine.py:Task"``.

    Raises:
        UsageError: a string is not an expression, or a sequence holds what no setting may have.
    """
    dotted = name.replace("__", ".")
    if isinstance(value, ast.Expr):
        return Override(dotted, value, f"{dotted} = ...")
    if _is_plain(value):
        made = _plain(value)
        return Override(dotted, made, f"{dotted}={made}")
    expr, diagnostics = parse_expression(_quoted(dotted, str(value)), dotted)
    if expr is None:
        raise UsageError(f"{dotted}={value}: {diagnostics[0].message}")
    return Override(dotted, expr, f"{dotted}={value}")


def _quoted(name: str, text: str) -> str:
    """The text of an expression, with the quotes that a path has in a file, where a setting takes one."""
    takes_path = name.rpartition(".")[2] in ("data", "task")
    return f'"{text.strip()}"' if takes_path and _PATH.fullmatch(text.strip()) else text


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | Real | tuple | list)


def _plain(value: object) -> Value:
    """A Python value as one of a setting: numbers of other libraries become Python's own, sequences tuples."""
    match value:
        case None | bool() | str():
            return value
        case Integral():
            return int(value)
        case Real():
            return float(value)
        case tuple() | list():
            return tuple(_plain(item) for item in value)
    raise UsageError(f"{value!r} cannot be the value of a setting")
