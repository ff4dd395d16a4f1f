"""Arguments: bundles spread over inputs, values bound to parameters, defaults for the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from compiler.ir.undecided import Var
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .body_elaboration import BodyElaboration
from .choices import Choices
from .errors import ElaborationError
from .frame import Evaluate, Frame, Site
from .mixtures import Mixtures
from .tensors import TensorExpressions
from .values import (
    Compose,
    Function,
    Menu,
    Partial,
    Picked,
    Tensor,
    Value,
    callable_name,
    flatten,
    is_tensors,
    kind,
)


class Application(NamedTuple):
    """Something applicable, the tensors that it is applied to, and its parameters by position and by name."""

    function: Value
    inputs: tuple[Value, ...]
    positional: tuple[Value, ...] = ()
    named: Mapping[str, Value] = MappingProxyType({})

    def of(self, function: Value) -> Application:
        """The same application, of another function."""
        return Application(function, self.inputs, self.positional, self.named)


class Arguments:
    """Gives the inputs and parameters of a function their values."""

    def __init__(self, choices: Choices, mixtures: Mixtures, tensors: TensorExpressions, evaluate: Evaluate) -> None:
        self.choices = choices
        self.mixtures = mixtures
        self.tensors = tensors
        self.evaluate = evaluate

    def inputs(self, function: Function, inputs: Sequence[Value], site: Site) -> tuple[Tensor, ...]:
        """Spread bundles over the inputs of a function."""
        tensors: list[Tensor] = []
        here = site.at(None)
        for item in inputs:
            for part in flatten(item):
                if isinstance(part, Picked):
                    part = self.tensors.taken(part, here)
                if isinstance(part, Var) and is_tensors(part):
                    part = self.mixtures.expand([part], lambda values: values[0], here, "last")
                if not isinstance(part, Tensor):
                    raise ElaborationError(
                        Code.KIND, site.span, f"'{function.name}' takes tensors here, not {kind(part)}"
                    )
                tensors.append(part)
        wanted = function.definition.inputs
        if len(tensors) != len(wanted):
            names = ", ".join(param.name for param in wanted)
            takes = f"{plural(len(wanted), 'input')} ({names})" if wanted else "no inputs"
            message = f"'{function.name}' takes {takes}, not {plural(len(tensors), 'tensor')}"
            hint = f"one bundle feeds them all: ({names}) -> {function.name}(...)" if len(wanted) > 1 else None
            raise ElaborationError(Code.ARGUMENT, site.span, message, hint, _defined_here(function))
        return tuple(tensors)

    def bind(
        self, function: Function, positional: Sequence[Value], named: Mapping[str, Value], site: Site
    ) -> dict[str, Value]:
        """The parameters given, by name; positions take the names that are left, in order."""
        known = [param.name for param in function.definition.params]
        for name in named:
            if name not in known:
                message = f"'{function.name}' has no parameter '{name}'"
                raise ElaborationError(Code.ARGUMENT, site.span, message, suggest(name, known), _defined_here(function))
        free = [name for name in known if name not in named]
        if len(positional) > len(free):
            message = f"'{function.name}' takes {plural(len(known), 'parameter')}, not {len(positional) + len(named)}"
            raise ElaborationError(Code.ARGUMENT, site.span, message, None, _defined_here(function))
        bound = {**dict(zip(free, positional, strict=False)), **named}
        for name, value in bound.items():
            if is_tensors(value):
                raise ElaborationError(
                    Code.ARGUMENT, site.span, f"parameter '{name}' of '{function.name}' is given a tensor"
                )
            bound[name] = self._settled(value, function, site.frame)
        return bound

    def _settled(self, value: Value, function: Function, frame: Frame) -> Value:
        """An argument as it is handed over: an operation cannot decide, a cell decides where it mentions the menu."""
        inside = self.choices.session.holes is not None
        if isinstance(value, Menu) and (inside or isinstance(function.definition, ast.OpDef)):
            return self.choices.settle_menu(value, f"{frame.name}.{callable_name(value)}", frame)
        if isinstance(value, Partial | Compose):
            return self.choices.settled(value, frame, frame.name)
        return value

    def complete(
        self, function: Function, given: Mapping[str, Value], body: BodyElaboration, span: Span
    ) -> dict[str, Value]:
        """All parameters: those given, then defaults, which see the inputs and the parameters before them."""
        result: dict[str, Value] = {}
        for param in function.definition.params:
            if param.name in given:
                value = given[param.name]
            elif param.default is not None:
                frame = Frame.of(body, body.trace.begin(param, function.instance, param.name))
                value = self.evaluate(param.default, frame, param.name)
            else:
                message = f"'{function.name}' needs its parameter '{param.name}'"
                raise ElaborationError(Code.MISSING, span, message, None, (param.span, "declared here"))
            result[param.name] = body.bindings[param.name] = value
        return result


def _defined_here(function: Function) -> tuple[Span, str]:
    return function.definition.name_span, "defined here"
