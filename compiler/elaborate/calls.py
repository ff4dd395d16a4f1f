"""Calls: arguments are read, then a function is applied, or keeps the parameters it was given."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from compiler.ir.undecided import Var
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import NUMERIC, TENSOR_FUNCTIONS

from .applications import Applications
from .arguments import Application
from .arithmetic import Arithmetic
from .bundles import Bundles, Turn
from .errors import ElaborationError
from .frame import Evaluate, Frame, Site
from .mixtures import Mixtures
from .tensors import TensorExpressions
from .values import Builtin, Bundle, Callables, Function, Menu, Partial, Tensor, Value, flatten, is_tensors, kind


@dataclass
class CallArguments:
    """The arguments of a call: tensors first, each with its place, then parameters by position and by name."""

    inputs: list[Value] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    positional: list[Value] = field(default_factory=list)
    named: dict[str, Value] = field(default_factory=dict)

    def add(self, arg: ast.Arg, value: Value) -> None:
        """Take in the next argument."""
        if arg.name is not None:
            if arg.name in self.named:
                raise ElaborationError(Code.ARGUMENT, arg.span, f"'{arg.name}' is given twice")
            self.named[arg.name] = value
        elif not is_tensors(value):
            self.positional.append(value)
        elif self.positional:
            raise ElaborationError(Code.ARGUMENT, arg.span, "inputs come before parameters")
        else:
            self.inputs += flatten(value)
            self.spans += [arg.span] * (len(self.inputs) - len(self.spans))


class Calls:
    """Evaluates ``f(x, k = 3)``."""

    def __init__(
        self,
        applications: Applications,
        arithmetic: Arithmetic,
        bundles: Bundles,
        mixtures: Mixtures,
        tensors: TensorExpressions,
        evaluate: Evaluate,
    ) -> None:
        self.applications = applications
        self.arithmetic = arithmetic
        self.bundles = bundles
        self.mixtures = mixtures
        self.tensors = tensors
        self.evaluate = evaluate

    def call(self, expr: ast.Call, site: Site) -> Value:
        """A call; one for each element where an argument stands under `each`."""
        if any(isinstance(arg.value, ast.Each) for arg in expr.args):
            return Bundle(tuple(make() for _, make in self.turns(expr, site.frame)))
        return self._once(expr, site, {})

    def turns(self, expr: ast.Call, frame: Frame) -> list[tuple[Frame, Callable[[], Value]]]:
        """The calls that `each` makes, each to be made when it is wanted, and the frame of each."""

        def maker(turn: Turn) -> Callable[[], Value]:
            return lambda: self._once(expr, Site(turn.frame, None, expr.span), turn.elements)

        return [(turn.frame, maker(turn)) for turn in self.bundles.turns(expr, frame)]

    def _once(self, expr: ast.Call, site: Site, elements: Mapping[int, Value]) -> Value:
        """One call; ``elements`` are the values of arguments under `each`, by position."""
        frame = site.frame
        # An inline choice of operations is named after its inputs, which are read first.
        function = None if isinstance(expr.func, ast.Choice) else self.evaluate(expr.func, frame)
        if function == Builtin("prev"):
            return self.bundles.previous(expr, frame)
        if function == Builtin("grammar"):
            return self.applications.grammars.mention(expr, frame)
        given = self._arguments(expr, frame, elements, function)
        inputs = given.inputs
        if function is None:
            source = inputs[0].name if inputs and isinstance(inputs[0], Tensor) else None
            where = f"{frame.name}.from_{source}" if source else site.name("choice")
            function = self.evaluate(expr.func, frame, where)
        if isinstance(function, Builtin):
            return self._builtin(function.name, given, site)
        if not isinstance(function, Callables | Var):
            raise ElaborationError(Code.KIND, expr.func.span, f"{kind(function)} cannot be applied")
        if not inputs:
            return _partial(function, given, expr, frame)
        return self.applications.apply(Application(function, tuple(inputs), tuple(given.positional), given.named), site)

    def _arguments(
        self, expr: ast.Call, frame: Frame, elements: Mapping[int, Value], function: Value | None
    ) -> CallArguments:
        """Read the arguments in order; an inline choice is named after the parameter that it is given to."""
        given = CallArguments()
        names = () if function is None else slots(function)
        for position, arg in enumerate(expr.args):
            if position in elements:
                value = elements[position]
            else:
                taken = len(given.positional)
                slot = arg.name or (names[taken] if taken < len(names) else None)
                name = f"{frame.name}.{slot}" if slot and isinstance(arg.value, ast.Choice) else None
                value = self.evaluate(arg.value, frame, name)
            if isinstance(function, Builtin) and function.name in TENSOR_FUNCTIONS and value == Bundle(()):
                continue  # `earlier n` of the first element: no tensors, and no number
            given.add(arg, value)
        return given

    def _builtin(self, name: str, given: CallArguments, site: Site) -> Value:
        """A function of the language itself: one of numbers, `sum` or `concat`."""
        if given.named:
            raise ElaborationError(Code.ARGUMENT, site.span, f"'{name}' has no named parameters")
        if name in NUMERIC:
            return self.arithmetic.function(name, given.inputs, given.positional, site.span)
        if not given.inputs:
            raise ElaborationError(Code.ARGUMENT, site.span, f"'{name}' needs tensors")
        if extra := given.positional[name != "sum" :]:
            behind = "" if name == "sum" else ", and behind them their width"
            raise ElaborationError(Code.ARGUMENT, site.span, f"'{name}' takes tensors{behind}, not {kind(extra[0])}")
        whole = site.at(site.name(name))

        def combine(values: Sequence[Value]) -> Value:
            parts = [(part, span) for value, span in zip(values, given.spans, strict=True) for part in flatten(value)]
            if name == "sum":
                terms = [
                    (tensor, span)
                    for part, span in parts
                    for tensor, _ in self.tensors.terms(part, site.span, site.frame)
                ]
                return self.tensors.add_up(terms, whole)
            return self.tensors.concat(parts, given.positional, whole)

        return self.mixtures.expand(given.inputs, combine, whole)


def slots(function: Value) -> Sequence[str]:
    """The names of the positions that parameters of a call take."""
    match function:
        case Function(definition=definition) | Menu(definition=definition):
            return [param.name for param in definition.params]
        case Partial(function=inner, positional=given, named=named):
            taken = dict(named)
            return [name for name in slots(inner)[len(given) :] if name not in taken]
    return ()


def _partial(function: Value, given: CallArguments, expr: ast.Call, frame: Frame) -> Value:
    """A call without tensors: the function with some parameters given."""
    if isinstance(function, Menu) and function.definition.params and not given.named:
        return replace(function, args=(*function.args, *given.positional), mention=frame.mention(expr))
    if isinstance(function, Function):
        _check_parameters(function, given, expr)
    return Partial(function, tuple(given.positional), tuple(given.named.items()))


def _check_parameters(function: Function, given: CallArguments, expr: ast.Call) -> None:
    """Refuse parameters that the function of a partial application does not have."""
    definition = function.definition
    known = [param.name for param in definition.params]
    if isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK:
        known += [param.name for param in definition.inputs]  # a section may give them shapes
    for arg in expr.args:
        if arg.name is not None and arg.name not in known:
            message = f"'{function.name}' has no parameter '{arg.name}'"
            raise ElaborationError(Code.ARGUMENT, arg.span, message, suggest(arg.name, known))
    if len(given.positional) > len(known):
        takes = plural(len(known), "parameter")
        raise ElaborationError(
            Code.ARGUMENT, expr.span, f"'{function.name}' takes {takes}, not {len(given.positional)}"
        )
