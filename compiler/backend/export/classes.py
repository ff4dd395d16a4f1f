"""The classes of a generated file, their parameters and their names."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from compiler.backend.names import pascal, unique
from compiler.ir.payloads import Prim
from compiler.ir.primitives.base import Gather
from compiler.ir.primitives.torch_form import Expression

from .outline import Outline
from .plans import Plan, Unit
from .terms import Named, Ref, Term
from .torch_source import HELPERS

_TAKEN = {*HELPERS, *dir(builtins), "Tensor", "F", "Path", "Network"}
"""Names that no class may have."""


class ParamKind(Enum):
    """The kind of a parameter, in the order in which constructors take them: channels, other numbers, modules."""

    WIDTH = "width"
    NUMBER = "number"
    MODULE = "module"


@dataclass(eq=False)
class Param:
    """A parameter of a class: its value in each of the blocks."""

    name: str
    values: tuple[Any, ...]
    kind: ParamKind

    @property
    def default(self) -> int | None:
        """The default; None for a parameter without one."""
        return 1 if self.name in ("stride", "dilation", "groups") and 1 in self.values else None

    @property
    def annotation(self) -> str:
        """The type of the parameter in the generated file."""
        if self.kind is ParamKind.MODULE:
            return "nn.Module"
        kinds = {type(value) for value in self.values}
        if kinds == {Ref}:
            return "tuple[int, int]"
        return "bool" if kinds == {bool} else "int" if kinds <= {int, bool} else "float"


@dataclass(eq=False)
class Class(Named):
    """A class of the file."""

    plan: Plan
    params: list[Param] = field(default_factory=list)
    slots: list[tuple[Unit, tuple[Term, ...]]] = field(default_factory=list)
    """The modules of each unit that has any, as terms over the parameters."""
    numbers: dict[Unit, tuple[Expression, dict[str, Term]]] = field(default_factory=dict)
    """The expression of every other unit, and its numbers."""
    names: set[str] = field(default_factory=set)
    """The names under which the program uses it."""
    name: str = ""
    title: str | None = None
    """The copy that its blocks are of, if they are of one."""
    constants: dict[str, str] = field(default_factory=dict)
    """Parameters of the program that have one value in all its blocks."""

    @property
    def level(self) -> str:
        """The level of its definitions: op, cell, stage or network."""
        return self.plan.outline.level


def name_classes(classes: Sequence[Class]) -> None:
    """Give every class a name: that of its block, and what sets it apart where several share that."""
    by_name: dict[str, list[Class]] = {}
    for item in classes:
        name = item.title or item.plan.outline.block.name
        if len(item.names) == 1 and item.plan.outline.is_operation and next(iter(item.names)).startswith(name):
            name = next(iter(item.names))
        by_name.setdefault(pascal(name), []).append(item)
    taken = {*_TAKEN, *(param.name for item in classes for param in item.params)}
    for name, group in sorted(by_name.items(), key=lambda pair: classes[-1] not in pair[1]):
        marks = [_marks(item.plan.outline) for item in group]
        for item, mark in zip(group, marks, strict=True):
            common = set.intersection(*map(set, marks))
            item.name = unique(name + "".join(m for m in mark if m not in common), taken, "")


def _marks(whole: Outline) -> list[str]:
    """Words for a variant of an operation."""
    marks = [pascal(name) for name, value in whole.arguments.items() if value == "True"]
    last = next((step for value, step in whole.numbered() if value == whole.output), None)
    op = last.what.op if last is not None and isinstance(last.what, Prim) else None
    is_sum = op is not None and op.gather is Gather.SUM and last is not None and last.called == op.called
    if last is not None and is_sum and any(source < len(whole.inputs) for source in last.sources):
        marks.append("Residual")
    return marks
