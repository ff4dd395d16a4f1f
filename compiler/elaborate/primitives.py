"""Applications of external operations: primitives of the compiler, and plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.external import PREFIX
from compiler.ir.primitives.parameters import ParameterError, SignatureError
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .arguments import Arguments
from .body_elaboration import BodyElaboration, body_of
from .errors import ElaborationError
from .frame import Evaluate, Frame, Site
from .loops import check_loop
from .mixtures import Mixtures
from .session import Session
from .trace import Trace
from .values import Function, Tensor, Value, flatten, shown

T = TypeVar("T")


class Made(NamedTuple):
    """A primitive with its parameters and the shape of its output; ``is_own``: it is the compiler's, no plugin's."""

    op: Operator
    shape: Shape
    is_own: bool


class Primitives:
    """Makes the node of an external operation."""

    def __init__(self, session: Session, mixtures: Mixtures, arguments: Arguments, evaluate: Evaluate) -> None:
        self.session = session
        self.mixtures = mixtures
        self.arguments = arguments
        self.evaluate = evaluate
        self._made: dict[object, Made] = {}

    def apply(self, function: Function, inputs: tuple[Tensor, ...], given: Mapping[str, Value], site: Site) -> Tensor:
        """The node; where a parameter other than a width is undecided, a mixture of one for each case."""
        key = (
            self.session.index(function),
            function.instance,
            tuple(tensor.shape for tensor in inputs),
            tuple(sorted(given.items())),
            site.frame.body.relaxed,
        )
        known = self._made.get(key)
        if known is not None:
            return self._node(function, known, inputs, site)
        open_widths = self.session.open_widths
        made = self._make(function, inputs, given, site)
        if isinstance(made, Tensor):
            return made
        if self.session.open_widths == open_widths:  # else each application has widths of its own
            self._made[key] = made
        return self._node(function, made, inputs, site)

    def _make(
        self, function: Function, inputs: tuple[Tensor, ...], given: Mapping[str, Value], site: Site
    ) -> Made | Tensor:
        """The primitive with its parameters, and the shape of its output; or a mixture."""
        definition, span = function.definition, site.span
        assert isinstance(definition, ast.OpDef)
        assert isinstance(definition.body, ast.External)
        external = definition.body
        target = self.session.externals.resolve(external.name)
        if target is None:
            hint = suggest(external.name, (PREFIX + known.name for known in self.session.externals.primitives))
            raise ElaborationError(
                Code.PLUGIN, external.span, f"the compiler knows no primitive '{external.name}'", hint
            )
        _checked(target.check, given, function, external, span)
        body = body_of(function, inputs, "", "op", site.frame.body.relaxed, Trace())
        params = self.arguments.complete(function, given, body, span)
        undecided = [key for key, value in params.items() if isinstance(value, Var) and key not in target.widths]
        if undecided:

            def settled(values: Sequence[Value]) -> Value:
                # Widths stay undecided in the copies: only the other parameters are settled.
                return self.apply(function, inputs, {**params, **dict(zip(undecided, values, strict=True))}, site)

            values = [params[key] for key in undecided]
            mixed = self.mixtures.expand(values, settled, site.at(f"{site.name_hint}.mix"))
            assert isinstance(mixed, Tensor)
            return mixed
        op = _checked(target.make, params, function, external, span)
        return Made(op, self._shape(definition, op, body, function, inputs, span), external.name.startswith(PREFIX))

    def _node(self, function: Function, made: Made, inputs: tuple[Tensor, ...], site: Site) -> Tensor:
        """The node of a primitive, where it takes such inputs."""
        op, shape, span = made.op, made.shape, site.span
        refusal = op.refusal([tensor.shape for tensor in inputs], shape)
        if refusal is not None:
            raise ElaborationError(Code.SHAPE, span, f"'{function.name}' {refusal}")
        if op.vocabulary is not None and not isinstance(site.frame.body.graph.node(inputs[0].index).payload, Input):
            message = f"'{function.name}' reads whole numbers, which only an input holds"
            raise ElaborationError(Code.SHAPE, span, message, "give it the input itself")
        if op.closes_loop:
            check_loop(site.frame.body.graph, inputs, span)
        if not op.any_width:
            self.session.refuse_width(op.called, inputs, span)
        called = op.called if made.is_own else function.name
        spot = site.name(called)
        label = spot if spot.rpartition(".")[2].rstrip("_0123456789") == called else f"{spot}.{called}"
        return site.frame.body.add(label.lstrip("."), Prim(op), shape, inputs, span)

    def _shape(
        self,
        definition: ast.OpDef,
        op: Operator,
        body: BodyElaboration,
        function: Function,
        inputs: tuple[Tensor, ...],
        span: Span,
    ) -> Shape:
        """The shape rule of an external operation; without one, that of the primitive, or the shape of its input."""
        if definition.shape is None:
            own = op.result([tensor.shape for tensor in inputs])
            return inputs[0].shape if own is None else Shape(tuple(dim for dim in own if dim is not None))
        frame = Frame.unrecorded(body, "", function.instance)
        dims: list[Value] = []
        try:
            for expr in definition.shape:
                dims += flatten(self.evaluate(expr, frame))
        except ElaborationError as error:
            found = error.diagnostic
            if found.code is Code.LARGE:
                raise
            raise ElaborationError(
                found.code, span, f"'{function.name}' cannot take this: {found.message}", found.hint
            ) from None
        for dim in dims:
            plain = dim.values if isinstance(dim, Var) else (dim,)
            if any(not isinstance(value, Open) and (not isinstance(value, int) or value < 1) for value in plain):
                shapes = " and ".join(str(tensor.shape) for tensor in inputs)
                result = "x".join(str(d) for d in dims)
                raise ElaborationError(Code.SHAPE, span, f"'{function.name}' would make {result} of {shapes}")
        return Shape(tuple(dims))  # type: ignore[arg-type]


def _checked(
    read: Callable[[Mapping[str, object]], T],
    values: Mapping[str, Value],
    function: Function,
    external: ast.External,
    span: Span,
) -> T:
    """Read parameters of an external operation; those that are wrong are errors of the program."""
    try:
        return read(values)
    except SignatureError as error:
        raise ElaborationError(Code.PLUGIN, external.span, str(error)) from None
    except ParameterError as error:
        wrong = cast("Value", error.value)  # one of `values`, or of the cases of one
        raise ElaborationError(Code.ARGUMENT, span, error.sentence(function.name, shown(wrong))) from None
