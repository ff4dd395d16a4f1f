"""The interpreter of expressions: from syntax to values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from compiler.ir.undecided import Open, TooManyCasesError, Var
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .additions import Additions
from .applications import Applications
from .arguments import Application, Arguments
from .arithmetic import Arithmetic
from .bodies import Bodies
from .bundles import Bundles
from .calls import Calls
from .choices import Choices
from .errors import ElaborationError
from .frame import Frame, Site
from .grammars import Grammars
from .instances import Instances
from .mixtures import Mixtures
from .names import Names
from .partial import ChannelBypass
from .picks import Picks
from .primitives import Primitives
from .session import Session
from .tensors import TensorExpressions, Term
from .values import Bundle, Callables, Compose, Tensor, Value, callable_name, flatten, is_tensors, kind


class Interpreter:
    """Evaluates expressions in a frame, with a collaborator for each kind of thing that they are about.

    The collaborators get what they need when they are made, this interpreter's `evaluate` among it: expressions contain
    applications, applications elaborate bodies, and bodies contain expressions.
    """

    def __init__(self, session: Session) -> None:
        evaluate = self.evaluate
        self.session = session
        self.mixtures = Mixtures(session)
        self.tensors = TensorExpressions(session, self.mixtures)
        self.choices = Choices(session, self.mixtures, evaluate)
        self.arithmetic = Arithmetic(session, self.choices, evaluate)
        self.bundles = Bundles(self.arithmetic, self.mixtures, evaluate)
        self.names = Names(session, self.bundles, evaluate)
        self.arguments = Arguments(self.choices, self.mixtures, self.tensors, evaluate)
        self.bodies = Bodies(session, self.mixtures, self.tensors, self.choices, self.arithmetic, evaluate)
        primitives = Primitives(session, self.mixtures, self.arguments, evaluate)
        self.instances = Instances(session, self.arguments, self.bodies, primitives)
        grammars = Grammars(session, evaluate)
        bypass, additions = ChannelBypass(session), Additions(session)
        self.applications = Applications(
            self.choices, self.mixtures, self.arguments, self.instances, bypass, additions, grammars
        )
        self.calls = Calls(self.applications, self.arithmetic, self.bundles, self.mixtures, self.tensors, evaluate)
        self.picks = Picks(session, self.choices, evaluate, self.calls.turns)

    def evaluate(self, expr: ast.Expr, frame: Frame, name_hint: str | None = None, last: int | None = None) -> Value:
        """The value of an expression.

        Args:
            expr: the expression.
            frame: where it stands.
            name_hint: the name of the node or decision, where a line is all it makes.
            last: of a bundle, only so many values from the end matter, so that a long family is not read as often as
                it has elements.

        Raises:
            ElaborationError: the program has an error here.
            AlreadyReportedError: it depends on a line that has one.
        """
        budget = self.session.budget
        budget.step(expr.span)
        try:
            value = self._evaluate(expr, frame, name_hint, last)
            if isinstance(value, Bundle):
                budget.step(expr.span, len(flatten(value)))
            elif isinstance(value, Var):
                budget.step(expr.span, len(value.values))
        except TooManyCasesError as error:
            raise ElaborationError(Code.LARGE, expr.span, str(error)) from None
        frame.position.reading.record_value(expr, frame.position.each, value)
        return value

    def _evaluate(self, expr: ast.Expr, frame: Frame, name_hint: str | None, last: int | None) -> Value:  # noqa: C901 (a table)
        match expr:
            case ast.Number() | ast.String():
                return expr.value
            case ast.Name():
                return self.names.name(expr, frame)
            case ast.Tuple():
                return Bundle(tuple(self.evaluate(item, frame, last=last) for item in expr.items))
            case ast.Field():
                return self.names.field(expr, frame)
            case ast.Index():
                return self.bundles.index(expr, frame)
            case ast.Copy():
                return self.names.copy(expr, frame)
            case ast.Call():
                return self.calls.call(expr, Site(frame, name_hint, expr.span))
            case ast.Each():
                raise ElaborationError(Code.KIND, expr.span, "`each` stands only as an argument of a call")
            case ast.Earlier():
                return self.bundles.earlier(expr, frame, last)
            case ast.Take():
                return self.bundles.take(expr, Site(frame, name_hint, expr.span))
            case ast.Pipe():
                return self._pipe(expr, frame, name_hint)
            case ast.Unary():
                return self.arithmetic.unary(expr, frame)
            case ast.Binary():
                return self._binary(expr, Site(frame, name_hint, expr.span))
            case ast.If():
                return self._condition(expr, Site(frame, name_hint, expr.span))
            case ast.Choice():
                name = name_hint or f"{frame.name}.choice"
                return self.choices.decide(expr.items, frame, name, frame.mention(expr))
            case ast.Pick():
                picked = self.picks.pick(expr, frame)
                takes_one = self.session.decisions[picked.decision].takes_one
                return self.tensors.taken(picked, Site(frame, name_hint, expr.span)) if takes_one else picked
            case _:
                assert_never(expr)

    def _binary(self, expr: ast.Binary, site: Site) -> Value:
        """An infix word: between numbers, or a sum or gate of tensors."""
        frame = site.frame
        if expr.op in ("and", "or"):
            return self.arithmetic.logic(expr, frame)
        if expr.op == "+":
            return self._sum(expr, site)
        left, right = self.evaluate(expr.left, frame), self.evaluate(expr.right, frame)
        if is_tensors(left) or is_tensors(right):
            return self.tensors.gate(expr, left, right, site)
        return self.arithmetic.binary(expr, left, right, frame)

    def _sum(self, expr: ast.Binary, site: Site) -> Value:
        """``a + b + c``: tensors are added at once, by one node."""
        frame, leaves = site.frame, addends(expr)
        values = [self.evaluate(leaf, frame) for leaf in leaves]
        if any(is_tensors(value) for value in values):
            terms: list[Term] = []
            for leaf, value in zip(leaves, values, strict=True):
                terms += self.tensors.terms(value, leaf.span, frame)
            return self.tensors.add_up(terms, site)
        total = values[0]
        for value in values[1:]:
            total = self.arithmetic.binary(expr, total, value, frame)
        return total

    def _condition(self, expr: ast.If, site: Site) -> Value:
        """``if c then a else b``; where the condition is undecided, each branch is built once."""
        frame = site.frame
        cond = self.arithmetic.number(expr.cond, frame)
        if isinstance(cond, Open):
            raise ElaborationError(Code.UNDECIDED, expr.cond.span, "a condition cannot depend on an open width")
        if not isinstance(cond, Var):
            return self.evaluate(expr.then if cond else expr.orelse, frame, site.name_hint)
        made: dict[bool, Value] = {}

        def branch(values: Sequence[Value]) -> Value:
            key = bool(values[0])
            if key not in made:
                made[key] = self.evaluate(expr.then if key else expr.orelse, frame)
            return made[key]

        return self.mixtures.expand([cond], branch, site, "if")

    def _pipe(self, expr: ast.Pipe, frame: Frame, name_hint: str | None) -> Value:
        """``x -> f -> g``: the applications, one after the other; ``f -> g``: their composition."""
        value = self.evaluate(expr.stages[0], frame)
        stages = expr.stages[1:]
        if not is_tensors(value):
            functions = [value, *(self._stage(stage, frame) for stage in stages)]
            for function, stage in zip(functions, expr.stages, strict=True):
                if not isinstance(function, Callables | Var):
                    raise ElaborationError(Code.KIND, stage.span, f"'->' joins operations; this is {kind(function)}")
            return Compose(tuple(functions))
        for position, stage in enumerate(stages):
            function = self._stage(stage, frame)
            name = callable_name(function)
            if position < len(stages) - 1:
                where: str | None = f"{name_hint or frame.name}.{name}"
            else:
                where = f"{frame.name}.{name}" if name_hint is None and position else name_hint
            application = Application(function, tuple(flatten(value)))
            value = self.applications.apply(application, Site(frame, where, stage.span))
        return value

    def _stage(self, expr: ast.Expr, frame: Frame) -> Value:
        """A stage of a pipe: something that can be applied."""
        value = self.evaluate(expr, frame)
        if not isinstance(value, Callables | Var):
            hint = "write `... -> f(parameters)`; the tensor comes from the left" if isinstance(value, Tensor) else None
            raise ElaborationError(Code.KIND, expr.span, f"'->' feeds an operation; this is {kind(value)}", hint)
        return value


def addends(expr: ast.Expr) -> list[ast.Expr]:
    """The terms of ``a + b + c``."""
    if isinstance(expr, ast.Binary) and expr.op == "+":
        return [*addends(expr.left), *addends(expr.right)]
    return [expr]
