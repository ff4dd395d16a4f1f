"""Classes: blocks that differ in numbers only become one class, and what differs becomes its parameters.

Blocks of equal structure are laid side by side, and their constructors are generalised (Plotkin's least general
generalisation, with arithmetic): what is equal stays as it is, what varies becomes a parameter, named as in the program
where a parameter of the program has the same values, or an expression of parameters. All of it is exact: every
expression gives the number of every block it was made from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from compiler.ir.primitives.torch_form import Expression, Role

from .classes import Class, Param, ParamKind, name_classes
from .outline import Outline, Step
from .parameters import Known, Parameters
from .plans import Plan, Unit, plan
from .terms import Arg, New, Term
from .torch_source import form, modules
from .torch_source import numbers as numbers_of

_NAMED = {"c", "c_in", "classes"}
"""Widths of classes that are parameters of an operation even where all its blocks agree."""

_MOST_MODULES = 2
"""How many modules a class takes as parameters before it is split instead."""


class Writer:
    """Makes the classes of a network, inner ones first."""

    def __init__(self, root: Outline) -> None:
        self.made: dict[Outline, New] = {}
        self.plans: dict[Outline, Plan] = {}
        groups: dict[object, list[Plan]] = {}
        for whole in _all(root):
            planned = self.plans[whole] = plan(whole, whole is root)
            groups.setdefault(planned.structure, []).append(planned)
        for group in sorted(groups.values(), key=lambda plans: plans[0].outline.height):
            self.group(group)
        self.classes = list(dict.fromkeys(self.class_of(whole) for whole in self.plans))
        self.root = self.classes[-1]
        for whole in self.plans:
            for step in whole.steps:
                if isinstance(step.what, Outline):
                    self.class_of(step.what).names.add(step.called)
        name_classes(self.classes)

    def class_of(self, whole: Outline) -> Class:
        """The class of an outline, made once."""
        kind = self.made[whole].kind
        assert isinstance(kind, Class)
        return kind

    def group(self, plans: list[Plan]) -> None:
        """The class of blocks of equal structure, or several: copies share one where only widths differ."""
        merged = _Merge(plans, self)
        parts: dict[object, list[Plan]] = {}
        if any(param.kind is not ParamKind.WIDTH for param in merged.params):
            for planned in plans:
                parts.setdefault(planned.outline.block.copy, []).append(planned)
        if len(parts) < 2 and sum(param.kind is ParamKind.MODULE for param in merged.params) > _MOST_MODULES:
            parts.clear()
            for planned in plans:
                kinds = tuple(term.kind for _, terms in self.terms(planned) for term in terms)
                parts.setdefault(kinds, []).append(planned)
        if len(parts) > 1:
            for part in parts.values():
                self.group(part)
            return
        for index, planned in enumerate(plans):
            args = [_argument(param, param.values[index]) for param in merged.result.params]
            self.made[planned.outline] = New(merged.result, tuple(args))

    def terms(self, planned: Plan) -> Iterator[tuple[Unit, list[New]]]:
        """The modules of every unit that has any."""
        for unit in planned.units:
            if unit.attr is not None:
                yield unit, [term for step in unit.steps for term in self.step_terms(step)]

    def step_terms(self, step: Step) -> tuple[New, ...]:
        """The terms that make the modules of a step."""
        return (self.made[step.what],) if isinstance(step.what, Outline) else modules(step) or ()


def _argument(param: Param, value: Term) -> Arg:
    """A parameter of a class as an argument of its constructor; its meaning is that of its name."""
    is_width = param.kind is ParamKind.WIDTH
    role = Role.CHANNELS if is_width else Role.GROUPS if param.name == "groups" else Role.NUMBER
    role = Role.CHANNELS_READ if param.name == "c_in" else role
    return Arg(param.name, value, is_width, param.default, role, param.name, param.name in _NAMED)


def _all(root: Outline) -> list[Outline]:
    """All outlines below a root, it included, inner ones first."""
    found: dict[Outline, None] = {}

    def visit(whole: Outline) -> None:
        if whole not in found:
            for step in whole.steps:
                if isinstance(step.what, Outline):
                    visit(step.what)
            found[whole] = None

    visit(root)
    return list(found)


class _Merge:
    """The generalisation of some plans of equal structure."""

    def __init__(self, plans: Sequence[Plan], writer: Writer) -> None:
        outlines = [planned.outline for planned in plans]
        first = plans[0].outline
        self.parameters = Parameters(plans)
        self.result = Class(plans[0])
        copies = {whole.block.copy for whole in outlines}
        self.result.title = copies.pop() if len(copies) == 1 else None
        for rows in zip(*(list(writer.terms(planned)) for planned in plans), strict=True):
            unit = rows[0][0]
            columns = zip(*(terms for _, terms in rows), strict=True)
            self.result.slots.append((unit, tuple(self.term(column, unit) for column in columns)))
        for units in zip(*(planned.units for planned in plans), strict=True):
            if units[0].attr is None:
                self.result.numbers[units[0]] = self.expression(units)
        self.params = self.result.params = self.parameters.in_order()
        for name, value in first.arguments.items():
            said = value == name or any(param.name == name for param in self.params)
            if not said and all(whole.arguments.get(name) == value for whole in outlines):
                self.result.constants[name] = value.lower() if value in ("True", "False") else value

    def expression(self, units: Sequence[Unit]) -> tuple[Expression, dict[str, Term]]:
        forms = [form(unit.steps[0]) for unit in units]
        first = forms[0]
        assert first is not None
        numbers: dict[str, Term] = {}
        known: list[Known] = []
        columns = zip(*(numbers_of(each) for each in forms if each is not None), strict=True)
        for column in columns:
            values = tuple(arg.value for arg in column)
            arg = column[0]
            numbers[arg.name] = self.parameters.number(values, arg, arg.role.is_width, units[0], known)
            known.append((arg.role, values, numbers[arg.name]))
        return first, numbers

    def term(self, column: Sequence[Term], unit: Unit) -> Term:
        """One term for all blocks."""
        news = [term for term in column if isinstance(term, New)]
        first = news[0]
        if any(new.kind != first.kind for new in news):
            return self.parameters.module(tuple(news), unit)
        args = []
        known: list[Known] = []
        for position, arg in enumerate(first.args):
            values = tuple(new.args[position].value for new in news)
            merged: Term
            if all(isinstance(value, New) for value in values):
                merged = self.term(values, unit)
            else:
                width = arg.positional if isinstance(first.kind, Class) else arg.role.is_width
                merged = self.parameters.number(values, arg, width, unit, known)
            known.append((arg.role, values, merged))
            args.append(replace(arg, value=merged))
        return New(first.kind, tuple(args))
