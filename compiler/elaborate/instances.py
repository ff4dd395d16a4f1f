"""Instances of operations, cells, stages and networks: equal ones share a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from compiler.ir.combinatorics.count_formula import Mention, Product
from compiler.ir.graph import Block, Call
from compiler.ir.undecided import Open
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Namespace

from .arguments import Arguments
from .bodies import Bodies
from .body_elaboration import BodyElaboration, Copy, FamilySize, body_of
from .errors import AlreadyReportedError, ElaborationError
from .frame import Frame, Site
from .primitives import Primitives
from .session import STEPS_OF_COPY, Session
from .trace import Trace
from .values import Function, Menu, Tensor, Value, describe


@dataclass(frozen=True)
class OperationTemplate:
    """A block that all equal applications of an operation share, with the factors that each brings to the formula."""

    block: Block
    formula: Product
    reads_relaxed: bool


@dataclass(frozen=True)
class CopyElaboration:
    """One elaboration of a copy: its block, the formula of its decisions, and its body."""

    block: Block
    formula: Product
    body: BodyElaboration


class Instances:
    """Makes `Call` nodes; a block is made once for equal parameters and input shapes."""

    def __init__(self, session: Session, arguments: Arguments, bodies: Bodies, primitives: Primitives) -> None:
        self.session = session
        self.arguments = arguments
        self.bodies = bodies
        self.primitives = primitives
        self._blocks: dict[object, Block] = {}
        self._templates: dict[object, OperationTemplate] = {}

    def instantiate(
        self, function: Function, inputs: tuple[Tensor, ...], params: Mapping[str, Value], site: Site
    ) -> Tensor:
        """The node of a function applied to tensors."""
        definition = function.definition
        with self.session.budget.nested(site.span):
            try:
                if isinstance(definition, ast.GraphDef):
                    block = self._copy_block(function, definition, inputs, params, site.span)
                elif isinstance(definition.body, ast.External):
                    return self.primitives.apply(function, inputs, params, site)
                else:
                    block = self._operation_block(function, inputs, params, site)
            except ElaborationError as error:
                raise _anchored(error, function, site) from None
        output = block.graph.output
        if output is None:
            raise AlreadyReportedError
        name = site.name(function.name)
        return site.frame.body.add(name, Call(block), block.graph.node(output).shape, inputs, site.span)

    # ------------------------------------------------------------ operations

    def _operation_block(
        self, function: Function, inputs: tuple[Tensor, ...], given: Mapping[str, Value], site: Site
    ) -> Block:
        """An operation: one block for each definition, parameters, input shapes and variant."""
        caller = site.frame.body
        shapes = tuple(tensor.shape for tensor in inputs)
        key = (
            self.session.index(function),
            function.instance,
            shapes,
            tuple(sorted(given.items())),
            caller.relaxed,
        )
        template = self._templates.get(key)
        if template is None:
            body = body_of(function, inputs, caller.copy, "op", caller.relaxed, Trace())
            body.root = caller.root
            open_widths = self.session.open_widths
            with self.session.formula.part() as factors:
                params = self.arguments.complete(function, given, body, site.span)
                self.bodies.read(body)
            template = OperationTemplate(block_of(function, body, None, params), tuple(factors), body.reads_relaxed)
            if self.session.open_widths == open_widths:  # else each application has widths of its own
                self._templates[key] = template
        self.session.formula.add_factors(*template.formula)
        caller.reads_relaxed |= template.reads_relaxed
        return template.block

    # ------------------------------------------------------------ copies

    def _copy_block(
        self,
        function: Function,
        definition: ast.GraphDef,
        inputs: tuple[Tensor, ...],
        given: Mapping[str, Value],
        span: Span,
    ) -> Block:
        """An instance of a copy; instances of equal arguments and shapes share a block."""
        path = function.label or self.session.title(function)
        shapes = tuple(tensor.shape for tensor in inputs)
        arguments = tuple(sorted(given.items(), key=lambda item: item[0]))
        key = (self.session.index(function), function.instance, path, shapes, arguments)
        if key not in self._blocks:
            self._blocks[key] = self._new_block(function, definition, path, inputs, given, span)
        self.session.formula.add_factors(Mention(path))
        block = self._blocks[key]
        if _leaves_open(block):
            del self._blocks[key]  # its caller says how wide it is, and another one may say otherwise
        return block

    def _new_block(
        self,
        function: Function,
        definition: ast.GraphDef,
        path: str,
        inputs: tuple[Tensor, ...],
        given: Mapping[str, Value],
        span: Span,
    ) -> Block:
        """The block of an instance that is like none before; the first of a copy stands for it."""
        self.session.budget.step(span, STEPS_OF_COPY)
        relaxed = self._is_relaxed(function, path, given)
        made = self.elaborate_copy(function, path, inputs, given, relaxed, span)
        if relaxed and self.is_discrete_after_all(made.body):
            made = self.elaborate_copy(function, path, inputs, given, False, span)
        known = self.session.copies.get(path)
        if known is None:
            owner = path.rpartition(".")[0] or None
            self.session.copies[path] = Copy(
                path, definition, function.instance, made.body, made.formula, made.block, span, owner
            )
        elif known.body.decisions != made.body.decisions:
            hint = f"give the instances copies of their own: `{function.name}@label`"
            differ = sorted({*known.body.decisions} ^ {*made.body.decisions})
            message = f"two instances of '{path}' have different choices"
            message += f": only one of them has '{differ[0]}'" if differ else ""
            raise ElaborationError(Code.INSTANCES, span, message, hint, (known.span, "the other instance"))
        else:
            self._check_ends(known, made.body, span)
        self.session.copies[path].bodies[made.block] = made.body
        return made.block

    def _check_ends(self, copy: Copy, body: BodyElaboration, span: Span) -> None:
        """Check that a family whose elements choose ends where it does in the first instance: one text says all."""
        first, other = _ends(copy.body), _ends(body)
        for name, end in first.items():
            if other.get(name) != end:
                hint = f"give the instances copies of their own: `{copy.definition.name}@label`"
                message = f"two instances of '{copy.path}' end '{name}' differently, whose elements choose"
                raise ElaborationError(Code.INSTANCES, span, message, hint, (copy.span, "the other instance"))

    def elaborate_copy(
        self,
        function: Function,
        path: str,
        inputs: Sequence[Tensor],
        given: Mapping[str, Value],
        relaxed: bool,
        span: Span,
    ) -> CopyElaboration:
        """Elaborate the body of a cell, stage or network under a path, at given inputs and parameters."""
        assert isinstance(function.definition, ast.GraphDef)
        level = function.definition.level.value
        body = body_of(function, inputs, path, level, relaxed, Trace(self.session.index(function)))
        with self.session.formula.part() as factors:
            params = self.arguments.complete(function, given, body, span)
            self.bodies.read(body)
        return CopyElaboration(block_of(function, body, path, params), tuple(factors), body)

    # ------------------------------------------------------------ variants

    def _is_relaxed(self, function: Function, path: str, given: Mapping[str, Value]) -> bool:
        """Whether to elaborate the relaxed variant of a copy: it may have a choice of its own."""
        session = self.session
        if session.relaxed_copies is not None:
            return path in session.relaxed_copies
        if path in session.copies:
            return session.copies[path].live
        return any(isinstance(value, Menu) for value in given.values()) or self.has_choice(function)

    def is_discrete_after_all(self, body: BodyElaboration) -> bool:
        """Whether a relaxed body had nothing to choose, so that its copy is discrete, and that makes a difference."""
        return not body.decisions and body.reads_relaxed and self.session.relaxed_copies is None

    def has_choice(self, function: Function) -> bool:
        """Whether the text of a definition chooses anywhere, by its syntax."""
        for node in self.session.index(function).nodes:
            match node:
                case ast.Choice() | ast.Pick():
                    return True
                case ast.Name(id=name):
                    found = function.instance.lookup(name)
                    if isinstance(found, Entity) and isinstance(found.plain, ast.MenuDef):
                        return True
                case ast.Field(base=ast.Name(id=alias), name=name):
                    found = function.instance.lookup(alias)
                    if isinstance(found, Namespace) and any(
                        isinstance(d, ast.MenuDef) for d in found.instance.unit.names.get(name, ())
                    ):
                        return True
        return False


def block_of(function: Function, body: BodyElaboration, copy: str | None, params: Mapping[str, Value]) -> Block:
    """The block of a body that has been read."""
    arguments = tuple((name, describe(value)) for name, value in params.items())
    definition = function.definition, function.instance
    return Block(function.name, body.level, copy, body.graph, arguments, params, definition)


def _ends(body: BodyElaboration) -> dict[str, FamilySize | int]:
    """Where each family ends whose elements choose, by name."""
    found: dict[str, FamilySize | int] = {}
    for line in body.definition.body.lines if isinstance(body.definition, ast.GraphDef) else ():
        if isinstance(line, ast.Binding) and line.target.dims:
            family = body.families.get(line.target.name)
            if family is not None and any(reading.has_choices for reading in body.trace.readings(line)):
                found[family.name] = family.size or len(family.elements)
    return found


def _leaves_open(block: Block) -> bool:
    """Whether the output has an open width that comes from no input."""
    graph = block.graph
    width = None if graph.output is None else graph.node(graph.output).shape.c
    return isinstance(width, Open) and all(graph.node(index).shape.c is not width for index in graph.inputs)


def _anchored(error: ElaborationError, function: Function, site: Site) -> ElaborationError:
    """An error inside a library operation is the error of the line that uses it, which it names."""
    found, body = error.diagnostic, site.frame.body
    if function.instance.unit.shipped is None or site.frame.instance.unit.shipped is not None:
        return error
    where = Frame(body, site.frame.position, site.name(function.name).lstrip(".")).place
    inside = None if found.span == site.span else (found.span, f"in '{function.name}'")
    message = where + found.message.removeprefix(where)
    return ElaborationError(found.code, site.span, message, found.hint, found.other or inside)
