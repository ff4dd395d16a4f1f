"""Grammars: ``grammar(M(8))`` is a menu that is decided along a draw, where it is first applied to tensors.

Whoever elaborates says what stands for it there (`Session.derive`). The record has it as a choice with one item, so
that derivation writes it in the place of the mention.
"""

from __future__ import annotations

from compiler.ir.payloads import Input
from compiler.ir.shape import Shape
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .arguments import Application
from .choices import check_may_choose, new_path
from .errors import ElaborationError
from .frame import Evaluate, Frame, Site
from .session import GrammarPlace, Session
from .trace import ChoiceRecord, Option, Position, Reading
from .values import Deferred, Menu, Tensor, Value, callable_name, flatten, kind

HINT = "draw architectures of it: `hdas sample FILE N --weighted`"


class Grammars:
    """Reads ``grammar(...)`` and applies what it stands for."""

    def __init__(self, session: Session, evaluate: Evaluate) -> None:
        self.session = session
        self.evaluate = evaluate

    def mention(self, expr: ast.Call, frame: Frame) -> Deferred:
        """``grammar(M(8))``: a menu, not decided yet."""
        if len(expr.args) != 1 or expr.args[0].name is not None:
            raise ElaborationError(Code.ARGUMENT, expr.span, "'grammar' takes one menu, such as `grammar(M(8))`")
        menu = self.evaluate(expr.args[0].value, frame)
        if not isinstance(menu, Menu):
            message = f"'grammar' takes a menu, not {kind(menu)}"
            raise ElaborationError(Code.KIND, expr.span, message, "name the choice by a definition `choice M = ...`")
        if self.session.holes is not None:
            return Deferred(menu, expr)
        check_may_choose(frame.body, expr.span, "decide outside and hand the operation over as a parameter")
        path = new_path(frame.body, f"{frame.name}.{callable_name(menu)}")
        frame.body.grammars.append(path)
        return Deferred(menu, expr, path, frame.position)

    def applied(self, deferred: Deferred, application: Application, site: Site) -> Tensor | Application:
        """What comes out of a hole; of a grammar, the application of what stands for it."""
        if application.positional or application.named:
            raise ElaborationError(Code.ARGUMENT, site.span, "what a grammar gives takes no parameters")
        tensors = tuple(item for value in application.inputs for item in flatten(value) if isinstance(item, Tensor))
        shapes = tuple(tensor.shape for tensor in tensors)
        if any(not isinstance(dim, int) for shape in shapes for dim in shape.dims):
            shown = " and ".join(map(str, shapes))
            raise ElaborationError(Code.UNDECIDED, site.span, f"a grammar cannot read an undecided shape: {shown}")
        if self.session.holes is not None:
            made = self.session.holes(deferred, shapes)
            name = site.name(callable_name(deferred.menu))
            return site.frame.body.add(name, Input(0), made, tensors, site.span)
        place = self._place(deferred, shapes)
        graph = site.frame.body.graph
        self.session.applied.setdefault(graph, graph.size)
        reading: Reading[Value] = Reading(deferred.menu.instance, name=site.frame.name, in_menu=True)
        assert deferred.position is not None, "a network mentions it"
        option = Option(place.expr, Position(reading))
        record = ChoiceRecord(None, (option,))
        deferred.position.reading.record_choice(deferred.node, deferred.position.each, record)
        return application.of(self.evaluate(place.expr, Frame.of(site.frame.body, reading)))

    def _place(self, deferred: Deferred, shapes: tuple[Shape, ...]) -> GrammarPlace:
        """What stands for a grammar here: what stood for it where it was first applied."""
        session, path = self.session, deferred.path
        if path not in session.grammars:
            if session.derive is None:
                raise ElaborationError(Code.KIND, deferred.node.span, "a grammar stands in the body of a network")
            session.refuse(deferred.node.span, "cannot be mixed: a grammar is decided along a draw", HINT)
            session.grammars[path] = GrammarPlace(
                path, deferred.menu, deferred.node, shapes, session.derive(path, deferred, shapes)
            )
        return session.grammars[path]
