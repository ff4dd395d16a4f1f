"""The parameters of a class: what differs among the blocks of equal structure that it is made from."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from compiler.backend.names import identifier, unique
from compiler.ir.primitives.torch_form import Role

from .classes import Param, ParamKind
from .plans import Plan, Unit
from .terms import Arg, New, Ref, Term

Known: TypeAlias = "tuple[Role, tuple[Any, ...], Term]"
"""An argument that is generalised already: its meaning, its values, and the term that they became."""


class Parameters:
    """Makes and names the parameters of one class.

    Attributes:
        used: the parameters of the class so far.
        candidates: the numbers that the program gives the blocks: its own parameters, and the widths of the inputs.
        words: parameters of the program that are operations or cells, with the word for each block.
    """

    def __init__(self, plans: Sequence[Plan]) -> None:
        self.outlines = [planned.outline for planned in plans]
        self.first = plans[0]
        self.is_op = self.first.outline.is_operation
        self.used: list[Param] = []
        self.widths: dict[int, Param] = {}
        self.attributes = {unit.attr for unit in self.first.units if unit.attr}
        self.candidates = list(self._offered())
        self.words = list(self._worded())

    def in_order(self) -> list[Param]:
        """The parameters as a constructor takes them: widths first, those of inputs before others; defaults last."""
        inputs = list(self.widths.values())

        def place(param: Param) -> tuple[bool, int, int]:
            among = inputs.index(param) if param in inputs else len(inputs)
            return param.default is not None, list(ParamKind).index(param.kind), among

        return sorted(self.used, key=place)

    # ------------------------------------------------------------ what parameters may be called

    def _offered(self) -> Iterator[Param]:
        """The numbers that the program gives the blocks: parameters, then widths of the inputs."""
        shared = [name for name in self.first.outline.arguments if all(name in o.arguments for o in self.outlines)]
        for name in shared:
            values = [_parsed(o.arguments[name]) for o in self.outlines]
            if all(value is not None for value in values):
                kind = ParamKind.WIDTH if name.startswith("c") and bool not in map(type, values) else ParamKind.NUMBER
                yield Param(unique(identifier(name), set(self.attributes)), tuple(values), kind)
        used = [n for n in range(len(self.first.outline.inputs)) if self.first.outline.readers[n]]
        for n in used:
            single = "c_in" if "c" in shared or "c" in self.attributes else "c"
            name = single if len(used) == 1 else f"c_{self.first.outline.inputs[n][0]}"
            self.widths[n] = Param(name, tuple(o.inputs[n][1][0] for o in self.outlines), ParamKind.WIDTH)
            yield self.widths[n]

    def _worded(self) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Parameters of the program that are words: operations, cells."""
        for name in self.first.outline.arguments:
            values = tuple(o.arguments.get(name, "") for o in self.outlines)
            if all(_parsed(value) is None for value in values):
                yield name, values

    # ------------------------------------------------------------ modules and numbers

    def module(self, values: tuple[New, ...], unit: Unit) -> Ref:
        """A module that the class is given. Modules without state may stand in several places."""
        if not any(value.has_state for value in values):
            for param in self.used:
                if param.values == values:
                    return Ref(param.name)
        cases = [values.index(value) for value in values]
        named = (name for name, words in self.words if [words.index(word) for word in words] == cases)
        return self._add(
            identifier(next(named, "inner" if self.first.sequential else str(unit.attr))), values, ParamKind.MODULE
        )

    def number(self, values: tuple[Any, ...], arg: Arg, is_width: bool, unit: Unit, known: Sequence[Known]) -> Term:
        """A number as a literal, a parameter or an expression of parameters.

        Args:
            values: the number of each block.
            arg: the argument that they are.
            is_width: whether they are numbers of channels.
            unit: the part of the class that takes the argument.
            known: the arguments of the same constructor before this one.
        """
        if arg.role is Role.GROUPS and max(values) > 1:
            for _, others, merged in known:
                if values == others:
                    return merged
        is_constant = len(set(values)) == 1
        if is_constant and not (self.is_op and arg.named):
            return values[0]  # type: ignore[no-any-return]
        meant = self._meant(values, arg, is_width, unit)
        if meant is not None:
            return self._use(meant)
        if is_constant:
            return values[0]  # type: ignore[no-any-return]
        found = self._equal(values, is_width) or self._expression(values, arg, is_width, known)
        return found or self._distinctive(values) or self._new(values, arg, is_width, unit)

    def _meant(self, values: tuple[Any, ...], arg: Arg, is_width: bool, unit: Unit) -> Param | None:
        """The number of the program that has these values and this meaning."""
        if is_width:
            found = (param for param in self._near(arg.role, unit) if param.kind is ParamKind.WIDTH)
        else:
            found = (param for param in self.candidates if param.name == arg.short)
        return next((param for param in found if param.values == values), None)

    def _near(self, role: Role, unit: Unit) -> list[Param]:
        """The widths that may be meant, the likeliest first: the one read, where it is what comes in."""
        source = unit.sources[0]
        if role is Role.CHANNELS_READ and source < len(self.first.outline.inputs):
            return sorted(self.candidates, key=lambda param: param is not self.widths.get(source))
        return self.candidates

    def _equal(self, values: tuple[Any, ...], is_width: bool) -> Ref | None:
        """A parameter of the class that has these values."""
        kind = ParamKind.WIDTH if is_width else ParamKind.NUMBER
        return next((Ref(param.name) for param in self.used if param.values == values and param.kind is kind), None)

    def _expression(self, values: tuple[Any, ...], arg: Arg, is_width: bool, known: Sequence[Known]) -> Ref | None:
        """Arithmetic on parameters that gives these values."""
        if is_width:
            return self._scaled(values)
        return _padding(values, known) if arg.role is Role.PADDING else None

    def _scaled(self, values: tuple[int, ...]) -> Ref | None:
        """A width as a multiple, a part or a product of others."""
        widths = [param for param in self.candidates if param.kind is ParamKind.WIDTH and len(set(param.values)) > 1]
        for param in widths:
            for factor in range(2, 9):
                if values == tuple(factor * value for value in param.values):
                    self._use(param)
                    return Ref(f"{factor} * {param.name}")
                if values == tuple(value // factor for value in param.values):
                    self._use(param)
                    return Ref(f"{param.name} // {factor}")
        for param in widths:
            for other in self.candidates:
                whole = all(type(value) is int for value in other.values)
                if whole and values == tuple(a * b for a, b in zip(other.values, param.values, strict=True)):
                    self._use(other)
                    self._use(param)
                    return Ref(f"{other.name} * {param.name}")
        return None

    def _distinctive(self, values: tuple[Any, ...]) -> Ref | None:
        """A number of the program of another name, where the values are too many to agree by chance."""
        equal = (param for param in self.candidates if param.values == values and len(set(values)) > 2)
        found = next(equal, None)
        return None if found is None else self._use(found)

    def _new(self, values: tuple[Any, ...], arg: Arg, is_width: bool, unit: Unit) -> Ref:
        """A parameter of its own, named after the argument, and where that is taken after the unit too."""
        free = all(param.name != arg.short for param in (*self.used, *self.candidates))
        name = arg.short if free or self.first.sequential else f"{unit.attr or unit.steps[0].called}_{arg.short}"
        return self._add(identifier(name), values, ParamKind.WIDTH if is_width else ParamKind.NUMBER)

    def _use(self, param: Param) -> Ref:
        if param not in self.used:
            self.used.append(param)
        return Ref(param.name)

    def _add(self, name: str, values: tuple[Any, ...], kind: ParamKind) -> Ref:
        taken = {param.name for param in (*self.used, *self.candidates)}
        taken |= self.attributes if kind is not ParamKind.MODULE else set()
        param = Param(unique(name, taken), values, kind)
        self.used.append(param)
        return Ref(param.name)


def _padding(values: tuple[int, ...], known: Sequence[Known]) -> Ref | None:
    """A padding as half the kernel."""
    kernels, kernel = next(((others, term) for role, others, term in known if role is Role.KERNEL), ((), None))
    if not all(isinstance(number, int) for number in kernels):
        return None
    forms: list[tuple[str, Callable[[int], int]]] = [("{} // 2", lambda k: k // 2), ("{} - 1", lambda k: k - 1)]
    for text, rule in forms:
        if isinstance(kernel, Ref) and re.fullmatch(r"\w+", kernel.text) and values == tuple(map(rule, kernels)):
            return Ref(text.format(kernel.text))
    return None


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
