"""A network as a whole: from its definition and arguments to an `Elaborated` space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.ir.combinatorics.count_formula import Mention
from compiler.ir.graph import Block, operations_of
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Shape
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .body_elaboration import BodyElaboration, Copy
from .building import AS_WRITTEN, Building
from .derivations import FirstDerivation
from .errors import AlreadyReportedError, ElaborationError
from .frame import Frame
from .instances import block_of
from .interpreter import Interpreter
from .session import Derive, Session
from .space import Elaborated
from .trace import Trace
from .values import Bundle, Function, Value
from .widths import fill, solve

MOST_OPERATIONS = 200_000
"""How many nodes a network may have once all its blocks are put in their places; published supernets have 20,000."""


@dataclass(frozen=True)
class _Root:
    """The network's own body, and the values of its parameters."""

    body: BodyElaboration
    params: dict[str, Value]


class NetworkElaborator:
    """Elaborates one network of a program."""

    def __init__(
        self,
        relaxed_copies: frozenset[str] | None = None,
        externals: Externals = NO_PLUGINS,
        building: Building = AS_WRITTEN,
        derive: Derive | None = None,
    ) -> None:
        self.session = Session(relaxed_copies, externals, building, derive or FirstDerivation(externals))
        self.interpreter = Interpreter(self.session)

    def elaborate(self, function: Function, args: Mapping[str, Value], span: Span) -> Elaborated | None:
        """The space; None when there are errors (in ``session.diagnostics``)."""
        session = self.session
        assert isinstance(function.definition, ast.GraphDef)
        session.begin(function)
        path = function.label or session.title(function)
        try:
            root = self._root(function, path, args, span)
            if session.diagnostics:
                return None
            return self._elaborated(function, function.definition, path, root, span)
        except ElaborationError as error:
            session.report(error.diagnostic)
        except AlreadyReportedError:
            pass
        return None

    def _root(self, function: Function, path: str, args: Mapping[str, Value], span: Span) -> _Root:
        """The network's own body; the discrete one where the relaxed one has nothing to choose."""
        instances, wanted = self.interpreter.instances, self.session.relaxed_copies
        relaxed = instances.has_choice(function) if wanted is None else path in wanted
        assert isinstance(function.definition, ast.GraphDef)
        with self.session.budget.nested(function.definition.copy.span):
            root = self._read_root(function, path, args, relaxed, span)
            if relaxed and instances.is_discrete_after_all(root.body):
                root = self._read_root(function, path, args, False, span)
        return root

    def _read_root(self, function: Function, path: str, args: Mapping[str, Value], relaxed: bool, span: Span) -> _Root:
        """Elaborate the network's body, whose inputs have written shapes, unless ``args`` give others."""
        session, definition = self.session, function.definition
        session.formula.restart()
        self.interpreter.bodies.requirements.clear()
        known = [param.name for param in (*definition.inputs, *definition.params)]
        for name in args:
            if name not in known:
                message = f"network '{function.name}' has no parameter '{name}'"
                here = definition.name_span, "defined here"
                raise ElaborationError(Code.ARGUMENT, span, message, suggest(name, known), here)
        trace: Trace[Value] = Trace(session.index(function))
        level = ast.Level.NETWORK.value
        body = BodyElaboration(definition, function.instance, path, level, relaxed, root=True, trace=trace)
        for index, param in enumerate(definition.inputs):
            body.add_input(index, param, self._input_shape(param, args, body, span))
        params = self.interpreter.arguments.complete(function, args, body, span)
        self.interpreter.bodies.read(body)
        return _Root(body, params)

    def _input_shape(self, param: ast.Param, args: Mapping[str, Value], body: BodyElaboration, span: Span) -> Shape:
        """The shape of an input of the network."""
        if param.shape is None:
            message = f"input '{param.name}' of a network needs a shape, such as [3, 32, 32]"
            raise ElaborationError(Code.SHAPE, param.span, message)
        frame = Frame.unrecorded(body)
        dims = tuple(self.interpreter.arithmetic.whole(dim, frame) for dim in param.shape)
        where = param.span
        if param.name in args:
            dims, where = _given_shape(param, args[param.name], dims, span), span
        if any(dim < 1 for dim in dims) or not 1 <= len(dims) <= 4:
            raise ElaborationError(Code.SHAPE, where, f"'{param.name}' cannot have the shape {Shape(dims)}")
        return Shape(dims)

    def _elaborated(
        self, function: Function, definition: ast.GraphDef, path: str, root: _Root, span: Span
    ) -> Elaborated:
        session, body = self.session, root.body
        block = block_of(function, body, path, root.params)
        _check_size(block, definition.copy.span)
        session.copies[path] = Copy(path, definition, function.instance, body, session.formula.factors, block, span)
        if session.open_widths and not session.decisions:
            block = fill(block, solve(block))
        return Elaborated(
            definition.name,
            block,
            session.decisions,
            session.copies,
            (Mention(path),),
            tuple(preference for copy in session.copies.values() for preference in copy.body.preferences),
            tuple(self.interpreter.bodies.requirements),
            tuple(session.refusals),
            root.params,
            session.externals,
            tuple(session.grammars.values()),
            session.applied,
        )


def _check_size(block: Block, span: Span) -> None:
    """Refuse a network that no pass could flatten: shared blocks make large ones of few lines."""
    size = operations_of(block)
    if size > MOST_OPERATIONS:
        message = f"this network has {size:,} operations, and {MOST_OPERATIONS:,} are compiled at most"
        raise ElaborationError(Code.LARGE, span, message)


def _given_shape(param: ast.Param, value: Value, written: tuple[int, ...], span: Span) -> tuple[int, ...]:
    """The shape that a section gives an input: ``image = (3, 224, 224)``."""
    items = value.items if isinstance(value, Bundle) else (value,)
    dims = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
    if len(dims) < len(items) or len(dims) != len(written):
        hint = f"as many whole numbers as its written shape has, such as ({', '.join(map(str, written))})"
        raise ElaborationError(Code.SHAPE, span, f"input '{param.name}' is given no shape", hint)
    return dims
