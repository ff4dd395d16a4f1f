"""Menus as productions of a grammar: which items are there, and what one makes of tensors, without the other items.

A production is elaborated by itself. The menus in it are holes: whoever asks says of each which shape comes out of it.
So the work of a derivation is that of the productions that it takes, however many others there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from compiler.ir.numbers import tidy
from compiler.ir.payloads import Input
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Shape
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance

from .arguments import Application
from .body_elaboration import BodyElaboration
from .errors import AlreadyReportedError, ElaborationError
from .frame import Frame, Site
from .interpreter import Interpreter
from .items import items_of
from .session import Session
from .trace import Reading
from .values import Deferred, Menu, Tensor, Value, flatten, kind

Shapes = tuple[Shape, ...]

Fill = Callable[[Deferred, Shapes], Shape]
"""What comes out of a hole that is applied to tensors of some shapes; raises `MisfitError` where nothing does."""

MISFITS = frozenset({Code.SHAPE, Code.CHANNELS, Code.WIDTHS, Code.RESOLUTION, Code.ARGUMENT, Code.RANGE})
"""The errors that shapes make, and numbers that follow from shapes: such an item is not there."""


class MisfitError(Exception):
    """A production does not fit the tensors that it is applied to; ``diagnostic`` is the error that it would be."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass(frozen=True)
class Key:
    """A menu with its parameters: what a derivation starts from."""

    definition: ast.MenuDef
    instance: Instance
    args: tuple[Value, ...]

    def __hash__(self) -> int:
        return hash((self.definition.name, self.args))

    @classmethod
    def of(cls, menu: Menu) -> Key:
        """The key of a menu, wherever it is mentioned."""
        return cls(menu.definition, menu.instance, menu.args)


@dataclass(frozen=True, eq=False)
class Production:
    """An item of a menu that is present: its text, the values of the names in it, and its weight."""

    key: Key
    expr: ast.Expr
    locals: Mapping[str, Value]
    weight: float

    @cached_property
    def names(self) -> frozenset[str]:
        """The parameters of its menu."""
        return frozenset(self.locals)


class Productions:
    """The productions of a file's menus.

    Args:
        externals: the primitives and plugins that external operations may name.
    """

    def __init__(self, externals: Externals = NO_PLUGINS) -> None:
        self.externals = externals
        self._known: dict[Key, tuple[Production, ...]] = {}

    def of(self, key: Key) -> tuple[Production, ...]:
        """The productions of a menu, in source order.

        Raises:
            ElaborationError: the menu has an error.
        """
        if key not in self._known:
            interpreter, frame = self._reader(key.instance, {})
            menu = Menu(key.definition, key.instance, key.args, frame.mention(key.definition.value))
            inner = interpreter.choices.bound(menu, key.definition.name, frame)
            present = interpreter.choices.present(items_of(key.definition), inner)
            self._known[key] = tuple(
                Production(key, item.expr, dict(inner.locals), 1.0 if item.weight is None else item.weight)
                for item in present
                if item.derivable
            )
        return self._known[key]

    def shape(self, production: Production, inputs: Shapes, fill: Fill) -> Shape:
        """The shape that comes out of a production applied to tensors.

        Raises:
            MisfitError: it does not fit these tensors.
            ElaborationError: it is wrong whatever the tensors.
        """
        interpreter, frame = self._reader(production.key.instance, production.locals, fill)
        session, span = interpreter.session, production.expr.span
        body = frame.body
        tensors = tuple(body.add("x", Input(i), shape, (), span) for i, shape in enumerate(inputs))
        try:
            function = interpreter.choices.settled(interpreter.evaluate(production.expr, frame), frame, frame.name)
            made = interpreter.applications.apply(Application(function, tensors), Site(frame, None, span))
        except ElaborationError as error:
            raise _sorted(error.diagnostic) from None
        except AlreadyReportedError:
            raise _sorted(session.diagnostics[0]) from None
        found = flatten(made)
        if len(found) != 1 or not isinstance(found[0], Tensor):
            raise ElaborationError(Code.KIND, span, f"a grammar makes tensors, and this makes {kind(made)}")
        return found[0].shape

    def value(self, production: Production, expr: ast.Expr) -> Value:
        """The value of an expression of a production: a number, a menu with its parameters."""
        interpreter, frame = self._reader(production.key.instance, production.locals, _nothing)
        return interpreter.evaluate(expr, frame)

    def _reader(
        self, instance: Instance, names: Mapping[str, Value], fill: Fill | None = None
    ) -> tuple[Interpreter, Frame]:
        """An interpreter with a session of its own, and the frame of items that see these names."""
        nobody = ast.MenuDef(ast.Ident(""), (), ast.Number("0"))
        body = BodyElaboration(nobody, instance, "", "op", relaxed=False)
        reading: Reading[Value] = Reading(instance, name="x", locals=dict(names), in_menu=True)
        return Interpreter(Session(externals=self.externals, holes=fill)), Frame.of(body, reading)

    # ------------------------------------------------------------ texts

    def written(self, production: Production, fills: Mapping[int, ast.Expr]) -> ast.Expr:
        """A production as text: with what stands for its menus, by the identity of each mention, and with numbers."""

        def change(node: ast.Node) -> ast.Node:
            if id(node) in fills:
                return fills[id(node)]
            if isinstance(node, ast.Name | ast.Binary | ast.Unary) and self.is_number(production, node):
                return literal(self.value(production, node))
            made = node.mapped(change)
            return _one_pipe(made) if isinstance(made, ast.Pipe) else made

        made = change(production.expr)
        assert isinstance(made, ast.Expr)
        return made

    def is_number(self, production: Production, node: ast.Expr) -> bool:
        """Whether an expression is made of the parameters of the menu and numbers alone."""
        names = [part.id for part in node.walk() if isinstance(part, ast.Name)]
        return bool(names) and all(name in production.names for name in names)


def literal(value: Value) -> ast.Expr:
    """A number as the language writes it.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool):
        return ast.Name(str(value).lower())
    if not isinstance(value, int | float):
        raise ValueError(f"{kind(value)} is not a number")
    size = ast.Number(str(tidy(abs(value))))
    return ast.Unary("-", size) if value < 0 else size


def _one_pipe(pipe: ast.Pipe) -> ast.Pipe:
    """``a -> (b -> c)`` without the parentheses."""
    stages: list[ast.Expr] = []
    for stage in pipe.stages:
        stages.extend(stage.stages if isinstance(stage, ast.Pipe) else (stage,))
    return replace(pipe, stages=tuple(stages))


def _sorted(diagnostic: Diagnostic) -> Exception:
    """The error of a production: a misfit where the tensors make it."""
    if diagnostic.code in MISFITS:
        return MisfitError(diagnostic)
    return ElaborationError.of(diagnostic)


def _nothing(hole: Deferred, inputs: Shapes) -> Shape:
    """Fills holes where nothing is applied."""
    raise AssertionError("an expression of a production is read, not applied")
