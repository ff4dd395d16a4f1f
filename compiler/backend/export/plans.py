"""Plans: the steps of an outline grouped into the modules and expressions of a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from compiler.backend.names import identifier, unique
from compiler.ir.payloads import Prim

from .outline import Outline, Step
from .torch_source import form, modules


@dataclass(frozen=True, eq=False)
class Unit:
    """A step computed by an expression (no ``attr``), or a chain of steps that are the module ``self.attr``."""

    attr: str | None
    steps: tuple[Step, ...]
    value: int

    @property
    def sources(self) -> tuple[int, ...]:
        """The values that it reads."""
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
            units.append((spelt, step.line, step.state, unit.sources, unit.value))
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
    taken: set[str] = set()
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
    if not whole.is_operation or any(step.line for step in whole.steps) or not whole.steps:
        return False
    start = whole.steps[0].sources
    if len(start) != 1 or start[0] >= len(whole.inputs):
        return False
    first = len(whole.inputs)
    in_line = all(step.sources == (first + n - 1,) for n, step in enumerate(whole.steps) if n)
    return in_line and whole.output == first + len(whole.steps) - 1 and all(map(_as_module, whole.steps))


def _as_module(step: Step) -> bool:
    if isinstance(step.what, Outline):
        return len(step.sources) == 1 and step.state is None
    return modules(step) is not None


def _has_state(step: Step) -> bool:
    return isinstance(step.what, Outline) or form(step) is None


def _attr(steps: Sequence[Step], root: bool) -> str:
    """The name of a module: its line and place in it, without the operation where that adds nothing."""
    parts = [step.name.split(".") for step in steps]
    common = parts[0]
    for other in parts[1:]:
        common = [a for a, b in zip(common, other, strict=False) if a == b]
    step = steps[0]
    if len(steps) == 1 and len(common) > 1 and _says_little(common[-1], step) and common[0] != "output":
        common = common[:-1]
    if common[:1] == ["output"] and len(common) > 1:
        common = common[1:]
    if common in ([], ["output"]):
        common = ["head"] if root else [step.called] if len(steps) == 1 else ["branch"]
    return identifier("_".join(common))


def _says_little(name: str, step: Step) -> bool:
    """Whether a part of a name is just the operation, or the one that a reader expects."""
    bare = _bare(name)
    is_expected = isinstance(step.what, Prim) and step.what.op.unremarkable and bare == step.what.op.called
    return bare == _bare(step.called) or is_expected


def _bare(name: str) -> str:
    return name.rstrip("_0123456789")
