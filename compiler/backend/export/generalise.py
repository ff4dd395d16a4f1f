"""Classes: blocks that differ in numbers only become one class, and what differs becomes its parameters.

Blocks of equal structure are laid side by side, and their constructors are generalised (Plotkin's least general
generalisation, with arithmetic): what is equal stays as it is, what varies becomes a parameter, named as in the program
where a parameter of the program has the same values, or an expression of parameters. All of it is exact: every
expression gives the number of every block it was made from.
"""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import nn

from .outline import Outline, Step
from .torch_source import HELPERS, Arg, Form, New, Ref, Term, form, modules

_WIDTHS = {"in_channels", "out_channels", "num_features", "in_features", "out_features", "inputs", "c"}
"""Arguments that are a number of channels."""

_COMING = {"in_channels", "num_features", "in_features", "inputs", "c_in"}
"""Those of them that a module must have from what it reads."""

_NAMED = _WIDTHS | {"c_in", "classes"}
"""Those that are parameters of an operation even where all its blocks agree."""

_SHORT = {"kernel_size": "k", "padding": "pad", **dict.fromkeys(_WIDTHS, "c")}
"""What the language calls arguments of torch."""

_TAKEN = {*HELPERS, *dir(builtins), "Tensor", "F", "Path", "Network"}
"""Names that no class may have."""

_MOST_MODULES = 2
"""How many modules a class takes as parameters before it is split instead."""


@dataclass(frozen=True, eq=False)
class Unit:
    """A step computed by an expression (no ``attr``), or a chain of steps that are the module ``self.attr``."""

    attr: str | None
    steps: tuple[Step, ...]
    value: int

    @property
    def sources(self) -> tuple[int, ...]:
        return self.steps[0].sources


@dataclass(frozen=True, eq=False)
class Plan:
    """How an outline is written: as a Sequential, or as units."""

    outline: Outline
    units: tuple[Unit, ...]
    sequential: bool

    @cached_property
    def structure(self) -> object:
        """Equal for outlines that one class can stand for."""
        whole = self.outline
        units = []
        for unit in self.units:
            step = unit.steps[-1]
            expression = form(step) if unit.attr is None and not isinstance(step.what, Outline) else None
            counts = tuple(1 if isinstance(s.what, Outline) else len(modules(s) or ()) for s in unit.steps)
            spelt = (expression.template, step.name) if expression else (unit.attr, counts)
            units.append((spelt, step.line, unit.sources, unit.value))
        names = tuple(name for name, _ in whole.inputs)
        block = whole.block
        return block.name, whole.level, whole.height, names, self.sequential, tuple(units), whole.output


def plan(whole: Outline, attrs_of_root: bool = False) -> Plan:
    """Group the steps of an outline into units."""
    if not attrs_of_root and _is_chain(whole):
        units = [Unit(str(n), (step,), value) for n, (value, step) in enumerate(whole.numbered())]
        return Plan(whole, tuple(units), True)
    chains: list[list[tuple[int, Step]]] = []
    for value, step in whole.numbered():
        last_value, last = chains[-1][-1] if chains else (-1, None)
        follows = step.sources == (last_value,) and whole.readers[last_value] == 1
        if last and last.line is None and follows and _as_module(last) and _as_module(step):
            chains[-1].append((value, step))
        else:
            chains.append([(value, step)])
    units = []
    taken: set[str] = set(_ATTRIBUTES)
    for chain in chains:
        steps = tuple(step for _, step in chain)
        if any(_has_state(step) for step in steps):
            attr = unique(_attr(steps, attrs_of_root), taken)
            units.append(Unit(attr, steps, chain[-1][0]))
        else:
            units += [Unit(None, (step,), value) for value, step in chain]
    return Plan(whole, tuple(units), False)


def _is_chain(whole: Outline) -> bool:
    """Whether it is an operation of modules, one after the other."""
    if whole.level != "op" or any(step.line for step in whole.steps) or not whole.steps:
        return False
    start = whole.steps[0].sources
    if len(start) != 1 or start[0] >= len(whole.inputs):
        return False
    first = len(whole.inputs)
    in_line = all(step.sources == (first + n - 1,) for n, step in enumerate(whole.steps) if n)
    return in_line and whole.output == first + len(whole.steps) - 1 and all(map(_as_module, whole.steps))


def _as_module(step: Step) -> bool:
    if isinstance(step.what, Outline):
        return len(step.sources) == 1
    return modules(step) is not None


def _has_state(step: Step) -> bool:
    return isinstance(step.what, Outline) or form(step) is None


_ATTRIBUTES = frozenset(dir(nn.Module()))
"""What `nn.Module` already has."""


def _attr(steps: Sequence[Step], root: bool) -> str:
    """What a module is called: its line and place in it, without the operation where it says nothing more."""
    parts = [step.name.split(".") for step in steps]
    common = parts[0]
    for other in parts[1:]:
        common = [a for a, b in zip(common, other, strict=False) if a == b]
    step = steps[0]
    if (
        len(steps) == 1
        and len(common) > 1
        and _bare(common[-1]) in (_bare(step.called), "conv")
        and common[0] != "output"
    ):
        common = common[:-1]
    if common[:1] == ["output"] and len(common) > 1:
        common = common[1:]
    if common in ([], ["output"]):
        common = ["head"] if root else [step.called] if len(steps) == 1 else ["branch"]
    return identifier("_".join(common))


def _bare(name: str) -> str:
    return name.rstrip("_0123456789")


def identifier(name: str) -> str:
    """A name as a Python identifier."""
    word = re.sub(r"\W", "_", name)
    return f"_{word}" if word[0].isdigit() else word


def unique(name: str, taken: set[str], joint: str = "_") -> str:
    """A name that is not taken, and no keyword; numbered if need be."""
    found, number = name, 2
    while found in taken or keyword.iskeyword(found):
        found, number = f"{name}{joint}{number}", number + 1
    taken.add(found)
    return found


# ---------------------------------------------------------------- generalisation


_KINDS = ("width", "number", "module")


@dataclass(eq=False)
class Param:
    """A parameter of a class: its value in each of the blocks."""

    name: str
    values: tuple[Any, ...]
    kind: str
    """One of `_KINDS`."""

    @property
    def default(self) -> int | None:
        """What it is where nothing is said."""
        return 1 if self.name in ("stride", "dilation", "groups") and 1 in self.values else None

    @property
    def annotation(self) -> str:
        if self.kind == "module":
            return "nn.Module"
        kinds = {type(value) for value in self.values}
        if kinds == {Ref}:
            return "tuple[int, int]"
        return "bool" if kinds == {bool} else "int" if kinds <= {int, bool} else "float"


@dataclass(eq=False)
class Class:
    """A class of the file."""

    plan: Plan
    params: list[Param] = field(default_factory=list)
    slots: list[tuple[Unit, tuple[Term, ...]]] = field(default_factory=list)
    """The modules of each unit that has any, as terms over the parameters."""
    numbers: dict[Unit, tuple[Form, dict[str, Term]]] = field(default_factory=dict)
    """The expression of every other unit, and its numbers."""
    names: set[str] = field(default_factory=set)
    """What the program calls it where it is used."""
    name: str = ""
    title: str | None = None
    """The copy that its blocks are of, if they are of one."""
    constants: dict[str, str] = field(default_factory=dict)
    """Parameters of the program that have one value in all its blocks."""

    @property
    def level(self) -> str:
        return self.plan.outline.level


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
        _name(self.classes)

    def class_of(self, whole: Outline) -> Class:
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
            args = [Arg(p.name, p.values[index], p.kind == "width", p.default) for p in merged.result.params]
            self.made[planned.outline] = New(merged.result, tuple(args))

    def terms(self, planned: Plan) -> Iterator[tuple[Unit, list[New]]]:
        """The modules of every unit that has any."""
        for unit in planned.units:
            if unit.attr is not None:
                yield unit, [term for step in unit.steps for term in self.step_terms(step)]

    def step_terms(self, step: Step) -> tuple[New, ...]:
        return (self.made[step.what],) if isinstance(step.what, Outline) else modules(step) or ()


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
            _KINDS.index(param.kind),
            inputs.index(param) if param in inputs else len(inputs),
        )

    def expression(self, units: Sequence[Unit]) -> tuple[Form, dict[str, Term]]:
        forms = [form(unit.steps[0]) for unit in units]
        first = forms[0]
        assert first is not None
        numbers: dict[str, Term] = {}
        known: dict[str, tuple[tuple[Any, ...], Term]] = {}
        for position, (name, _) in enumerate(first.numbers):
            values = tuple(f.numbers[position][1] for f in forms if f is not None)
            numbers[name] = self.number(values, name, name in _WIDTHS, units[0], known)
            known[name] = values, numbers[name]
        return first, numbers

    # ------------------------------------------------------------ what parameters may be called

    def offered(self) -> Iterator[Param]:
        """The numbers that the program gives the blocks: parameters, then widths of the inputs."""
        shared = [name for name in self.first.outline.arguments if all(name in o.arguments for o in self.outlines)]
        for name in shared:
            values = [_parsed(o.arguments[name]) for o in self.outlines]
            if all(value is not None for value in values):
                kind = "width" if name.startswith("c") and bool not in map(type, values) else "number"
                yield Param(name, tuple(values), kind)
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
        known: dict[str, tuple[tuple[Any, ...], Term]] = {}
        for position, arg in enumerate(first.args):
            values = tuple(new.args[position].value for new in news)
            merged: Term
            if all(isinstance(value, New) for value in values):
                merged = self.term(values, unit)
            else:
                width = arg.positional if isinstance(first.kind, Class) else arg.name in _WIDTHS
                merged = self.number(values, arg.name, width, unit, known)
            known[arg.name] = values, merged
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
        return self.add(next(named, "inner" if self.first.sequential else str(unit.attr)), values, "module")

    def number(
        self,
        values: tuple[Any, ...],
        role: str,
        width: bool,
        unit: Unit,
        known: dict[str, tuple[tuple[Any, ...], Term]],
    ) -> Term:
        """A number as a literal, a parameter or an expression of parameters."""
        constant = len(set(values)) == 1
        if role == "groups" and max(values) > 1:
            for others, merged in known.values():
                if values == others:
                    return merged
        if constant and not (self.op and role in _NAMED):
            return values[0]  # type: ignore[no-any-return]
        short = _SHORT.get(role, role)
        if width:
            for param in self.near(role, unit):
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
        found = self.scaled(values) if width else self.padding(values, known) if short == "pad" else None
        if found is not None:
            return found
        for param in self.candidates:
            if param.values == values and len(set(values)) > 2:
                return self.use(param)
        free = all(param.name != short for param in (*self.params, *self.candidates))
        name = short if free or self.first.sequential else f"{unit.attr or unit.steps[0].called}_{short}"
        return self.add(identifier(name), values, "width" if width else "number")

    def near(self, role: str, unit: Unit) -> list[Param]:
        """The widths that may be meant, the likeliest first: the one read, where it is what comes in."""
        source = unit.sources[0]
        if role in _COMING and source < len(self.first.outline.inputs):
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

    def padding(self, values: tuple[int, ...], known: dict[str, tuple[tuple[Any, ...], Term]]) -> Ref | None:
        """A padding as half the kernel."""
        kernels, kernel = known["kernel_size"]
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


# ---------------------------------------------------------------- names of classes


def _name(classes: Sequence[Class]) -> None:
    """Give every class a name: that of its block, and what sets it apart where several share that."""
    by_name: dict[str, list[Class]] = {}
    for item in classes:
        name = item.title or item.plan.outline.block.name
        if len(item.names) == 1 and item.level == "op" and next(iter(item.names)).startswith(name):
            name = next(iter(item.names))
        by_name.setdefault(_pascal(name), []).append(item)
    taken = set(_TAKEN)
    for name, group in sorted(by_name.items(), key=lambda pair: classes[-1] not in pair[1]):
        marks = [_marks(item.plan.outline) for item in group]
        for item, mark in zip(group, marks, strict=True):
            common = set.intersection(*map(set, marks))
            item.name = unique(name + "".join(m for m in mark if m not in common), taken, "")


def _marks(whole: Outline) -> list[str]:
    """What a reader would say of a variant of an operation."""
    marks = [_pascal(name) for name, value in whole.arguments.items() if value == "True"]
    last = next((step for value, step in whole.numbered() if value == whole.output), None)
    if last and last.called == "add" and any(source < len(whole.inputs) for source in last.sources):
        marks.append("Residual")
    return marks


def _pascal(name: str) -> str:
    words = re.split(r"[\W_]+", name)
    return identifier("".join(word[:1].upper() + word[1:] for word in words))
