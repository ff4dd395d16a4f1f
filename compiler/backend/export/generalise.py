"""Classes: blocks that differ in numbers only become one class, and what differs becomes its parameters.

Blocks of equal structure are laid side by side, and their constructors are generalised (Plotkin's least general
generalisation, with arithmetic): what is equal stays as it is, what varies becomes a parameter, named as in the program
where a parameter of the program has the same values, or an expression of parameters. All of it is exact: every
expression gives the number of every block it was made from.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from compiler.backend.names import identifier, unique
from compiler.ir.primitives.torch_form import Expression, Role

from .classes import KINDS, Class, Param, name_classes
from .outline import Outline, Step
from .plans import Plan, Unit, plan
from .terms import Arg, New, Ref, Term
from .torch_source import form, modules
from .torch_source import numbers as numbers_of

_NAMED = {"c", "c_in", "classes"}
"""Widths of classes that are parameters of an operation even where all its blocks agree."""

_MOST_MODULES = 2
"""How many modules a class takes as parameters before it is split instead."""


Known: TypeAlias = "tuple[Role, tuple[Any, ...], Term]"
"""An argument that is generalised already: its meaning, its values, and the term that they became."""


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
        if any(param.kind != "width" for param in merged.params):
            for planned in plans:
                parts.setdefault(planned.outline.block.copy, []).append(planned)
        if len(parts) < 2 and sum(param.kind == "module" for param in merged.params) > _MOST_MODULES:
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
    is_width = param.kind == "width"
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
        self.outlines = [planned.outline for planned in plans]
        self.first = plans[0]
        self.op = self.first.outline.level == "op"
        self.params: list[Param] = []
        self.widths: dict[int, Param] = {}
        self.attributes = {unit.attr for unit in self.first.units if unit.attr}
        self.candidates = list(self.offered())
        self.choices = list(self.worded())
        self.result = Class(self.first)
        copies = {o.block.copy for o in self.outlines}
        self.result.title = copies.pop() if len(copies) == 1 else None
        for rows in zip(*(list(writer.terms(planned)) for planned in plans), strict=True):
            unit = rows[0][0]
            columns = zip(*(terms for _, terms in rows), strict=True)
            self.result.slots.append((unit, tuple(self.term(column, unit) for column in columns)))
        for units in zip(*(planned.units for planned in plans), strict=True):
            if units[0].attr is None:
                self.result.numbers[units[0]] = self.expression(units)
        self.params.sort(key=self.place)
        self.result.params = self.params
        for name, value in self.first.outline.arguments.items():
            said = value == name or any(param.name == name for param in self.params)
            if not said and all(o.arguments.get(name) == value for o in self.outlines):
                self.result.constants[name] = value.lower() if value in ("True", "False") else value

    def place(self, param: Param) -> tuple[bool, int, int]:
        """Where a parameter stands: widths first, those of the inputs before others, and defaults last."""
        inputs = list(self.widths.values())
        return (
            param.default is not None,
            KINDS.index(param.kind),
            inputs.index(param) if param in inputs else len(inputs),
        )

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
            numbers[arg.name] = self.number(values, arg, arg.role.is_width, units[0], known)
            known.append((arg.role, values, numbers[arg.name]))
        return first, numbers

    # ------------------------------------------------------------ what parameters may be called

    def offered(self) -> Iterator[Param]:
        """The numbers that the program gives the blocks: parameters, then widths of the inputs."""
        shared = [name for name in self.first.outline.arguments if all(name in o.arguments for o in self.outlines)]
        for name in shared:
            values = [_parsed(o.arguments[name]) for o in self.outlines]
            if all(value is not None for value in values):
                kind = "width" if name.startswith("c") and bool not in map(type, values) else "number"
                yield Param(unique(identifier(name), set(self.attributes)), tuple(values), kind)
        used = [n for n in range(len(self.first.outline.inputs)) if self.first.outline.readers[n]]
        for n in used:
            single = "c_in" if "c" in shared or "c" in self.attributes else "c"
            name = single if len(used) == 1 else f"c_{self.first.outline.inputs[n][0]}"
            self.widths[n] = Param(name, tuple(o.inputs[n][1][0] for o in self.outlines), "width")
            yield self.widths[n]

    def worded(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Parameters of the program that are words: operations, cells."""
        for name in self.first.outline.arguments:
            values = tuple(o.arguments.get(name, "") for o in self.outlines)
            if all(_parsed(value) is None for value in values):
                yield name, values

    # ------------------------------------------------------------ terms

    def term(self, column: Sequence[Term], unit: Unit) -> Term:
        """One term for all blocks."""
        news = [term for term in column if isinstance(term, New)]
        first = news[0]
        if any(new.kind != first.kind for new in news):
            return self.module(tuple(news), unit)
        args = []
        known: list[Known] = []
        for position, arg in enumerate(first.args):
            values = tuple(new.args[position].value for new in news)
            merged: Term
            if all(isinstance(value, New) for value in values):
                merged = self.term(values, unit)
            else:
                width = arg.positional if isinstance(first.kind, Class) else arg.role.is_width
                merged = self.number(values, arg, width, unit, known)
            known.append((arg.role, values, merged))
            args.append(replace(arg, value=merged))
        return New(first.kind, tuple(args))

    def module(self, values: tuple[New, ...], unit: Unit) -> Ref:
        """A module that the class is given. Modules without state may stand in several places."""
        if not any(value.has_state for value in values):
            for param in self.params:
                if param.values == values:
                    return Ref(param.name)
        cases = [values.index(value) for value in values]
        named = (name for name, words in self.choices if [words.index(word) for word in words] == cases)
        return self.add(identifier(next(named, "inner" if self.first.sequential else str(unit.attr))), values, "module")

    def number(  # noqa: C901
        self,
        values: tuple[Any, ...],
        arg: Arg,
        width: bool,
        unit: Unit,
        known: Sequence[Known],
    ) -> Term:
        """A number as a literal, a parameter or an expression of parameters."""
        constant = len(set(values)) == 1
        if arg.role is Role.GROUPS and max(values) > 1:
            for _, others, merged in known:
                if values == others:
                    return merged
        if constant and not (self.op and arg.named):
            return values[0]  # type: ignore[no-any-return]
        short = arg.short
        if width:
            for param in self.near(arg.role, unit):
                if param.values == values and param.kind == "width":
                    return self.use(param)
        else:
            for param in self.candidates:
                if param.values == values and param.name == short:
                    return self.use(param)
        if constant:
            return values[0]  # type: ignore[no-any-return]
        for param in self.params:
            if param.values == values and param.kind == ("width" if width else "number"):
                return Ref(param.name)
        found = self.scaled(values) if width else self.padding(values, known) if arg.role is Role.PADDING else None
        if found is not None:
            return found
        for param in self.candidates:
            if param.values == values and len(set(values)) > 2:
                return self.use(param)
        free = all(param.name != short for param in (*self.params, *self.candidates))
        name = short if free or self.first.sequential else f"{unit.attr or unit.steps[0].called}_{short}"
        return self.add(identifier(name), values, "width" if width else "number")

    def near(self, role: Role, unit: Unit) -> list[Param]:
        """The widths that may be meant, the likeliest first: the one read, where it is what comes in."""
        source = unit.sources[0]
        if role is Role.CHANNELS_READ and source < len(self.first.outline.inputs):
            return sorted(self.candidates, key=lambda param: param is not self.widths.get(source))
        return self.candidates

    def scaled(self, values: tuple[int, ...]) -> Ref | None:
        """A width as a multiple, a part or a product of others."""
        widths = [param for param in self.candidates if param.kind == "width" and len(set(param.values)) > 1]
        for param in widths:
            for factor in range(2, 9):
                if values == tuple(factor * value for value in param.values):
                    self.use(param)
                    return Ref(f"{factor} * {param.name}")
                if values == tuple(value // factor for value in param.values):
                    self.use(param)
                    return Ref(f"{param.name} // {factor}")
        for param in widths:
            for other in self.candidates:
                whole = all(type(value) is int for value in other.values)
                if whole and values == tuple(a * b for a, b in zip(other.values, param.values, strict=True)):
                    self.use(other)
                    self.use(param)
                    return Ref(f"{other.name} * {param.name}")
        return None

    def padding(self, values: tuple[int, ...], known: Sequence[Known]) -> Ref | None:
        """A padding as half the kernel."""
        kernels, kernel = next(((others, term) for role, others, term in known if role is Role.KERNEL), ((), None))
        if not all(isinstance(number, int) for number in kernels):
            return None
        forms: list[tuple[str, Callable[[int], int]]] = [("{} // 2", lambda k: k // 2), ("{} - 1", lambda k: k - 1)]
        for text, rule in forms:
            if isinstance(kernel, Ref) and re.fullmatch(r"\w+", kernel.text) and values == tuple(map(rule, kernels)):
                return Ref(text.format(kernel.text))
        return None

    def use(self, param: Param) -> Ref:
        if param not in self.params:
            self.params.append(param)
        return Ref(param.name)

    def add(self, name: str, values: tuple[Any, ...], kind: str) -> Ref:
        taken = {param.name for param in (*self.params, *self.candidates)}
        taken |= self.attributes if kind != "module" else set()
        param = Param(unique(name, taken), values, kind)
        self.params.append(param)
        return Ref(param.name)


def _parsed(text: str) -> int | float | bool | None:
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None
