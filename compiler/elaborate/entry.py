"""The ways into the interpreter: a network, a copy by itself, an expression at the top of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.graph import SpaceGraph
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Shape
from compiler.ir.verify import Stage, is_asked_for, verify
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .body_elaboration import BodyElaboration, Copy
from .building import AS_WRITTEN, Building
from .derivations import FirstDerivation
from .errors import AlreadyReportedError, ElaborationError
from .frame import Site
from .interpreter import Interpreter
from .names import module_frame
from .network import NetworkElaborator
from .session import Derive, Session
from .space import Elaborated
from .values import Function, NamespaceValue, Partial, Tensor, Value


def elaborate(
    function: Function,
    args: Mapping[str, Value] | None = None,
    relaxed_copies: frozenset[str] | None = None,
    span: Span | None = None,
    externals: Externals = NO_PLUGINS,
    building: Building = AS_WRITTEN,
    derive: Derive | None = None,
) -> tuple[Elaborated | None, list[Diagnostic]]:
    """Elaborate a network of a program.

    Args:
        function: the network.
        args: values of its parameters, the others take their defaults; and shapes of its inputs, as tuples.
        relaxed_copies: paths of the copies to elaborate in their relaxed variant; by default those with a choice of
            their own.
        span: where errors about the arguments point.
        externals: the primitives and plugins that external operations may name.
        building: how a search builds the network.
        derive: what stands for each grammar; by default the first derivation in source order that fits.

    Returns:
        The space, or None where there are errors, and all diagnostics.
    """
    elaborator = NetworkElaborator(relaxed_copies, externals, building, derive)
    result = elaborator.elaborate(function, dict(args or {}), span or function.definition.span)
    if result is not None and is_asked_for():
        verify(result.block.graph, result.decisions, Stage.HIERARCHICAL, "elaboration")
    return result, elaborator.session.diagnostics


@dataclass(frozen=True, eq=False)
class CopyAlone:
    """A copy that was elaborated by itself: its body, and the copies that it uses."""

    body: BodyElaboration
    copies: Mapping[str, Copy]


def elaborate_copy(
    function: Function,
    path: str,
    inputs: Sequence[Shape],
    params: Mapping[str, Value],
    externals: Externals,
) -> tuple[CopyAlone | None, list[Diagnostic]]:
    """Elaborate the discrete variant of a cell, stage or network at given shapes and parameters, under a path.

    Returns:
        The copy, or None where an error leaves it without an output, and all diagnostics, that error first.
    """
    session = Session(externals=externals, derive=FirstDerivation(externals))
    graph = SpaceGraph()
    tensors = tuple(Tensor(graph, index, shape) for index, shape in enumerate(inputs))
    span = function.definition.span
    try:
        made = Interpreter(session).instances.elaborate_copy(function, path, tensors, params, False, span)
    except ElaborationError as error:
        return None, [error.diagnostic, *session.diagnostics]
    except AlreadyReportedError:
        return None, session.diagnostics
    return CopyAlone(made.body, session.copies), session.diagnostics


@dataclass(frozen=True)
class NetworkCall:
    """A network with arguments, as a section names it: ``Net(cells = 8, image = (3, 32, 32))``."""

    function: Function
    args: dict[str, Value]
    span: Span


def read_network_call(
    expr: ast.Expr,
    instance: Instance,
    namespaces: Mapping[str, Instance],
    overrides: Mapping[str, Callable[[], ast.Expr]],
    externals: Externals,
) -> NetworkCall:
    """The network that an expression at the top of a file names, with its arguments.

    Args:
        expr: the target of a section.
        instance: the file.
        namespaces: what the names of phases stand for.
        overrides: what gives the expressions that replace arguments, by name; those of other names are not asked for.
        externals: the primitives and plugins that external operations may name.

    Raises:
        ElaborationError: it is not a network, or an argument has an error.
        AlreadyReportedError: it depends on something with an error that is reported elsewhere.
    """
    interpreter = Interpreter(Session(externals=externals))
    frame = module_frame(instance, {name: NamespaceValue(found) for name, found in namespaces.items()})
    value = interpreter.evaluate(expr, frame)
    args: dict[str, Value] = {}
    if isinstance(value, Partial):
        function, named = value.function, dict(value.named)
        if isinstance(function, Function):
            inputs = {param.name for param in function.definition.inputs}
            shapes = {name: named.pop(name) for name in inputs & named.keys()}
            args = interpreter.arguments.bind(function, value.positional, named, Site(frame, None, expr.span)) | shapes
        value = function
    if not isinstance(value, Function) or not is_network(value.definition):
        raise ElaborationError(Code.KIND, expr.span, "a section names a network, with its parameters in parentheses")
    known = {param.name for param in (*value.definition.inputs, *value.definition.params)}
    args |= {name: interpreter.evaluate(given(), frame) for name, given in overrides.items() if name in known}
    return NetworkCall(value, args, expr.span)


def is_network(definition: ast.Definition) -> bool:
    """Whether a definition is a network's."""
    return isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK
