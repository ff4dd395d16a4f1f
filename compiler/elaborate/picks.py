"""Picks: k of several tensors. The candidates are weighted, and become a decision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from compiler.ir.combinatorics.count_formula import Choose, Product
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.undecided import MOST_ITEMS, MOST_PICKS
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.tree import ast

from .body_elaboration import BodyElaboration
from .choices import Choices, check_may_choose, new_path
from .errors import ElaborationError
from .frame import Evaluate, Frame
from .session import Session
from .trace import ChoiceRecord, Option
from .values import Picked, Tensor, Value, flatten, kind

CallOnce = Callable[[ast.Call, Frame], list[tuple[Frame, Callable[[], Value]]]]


@dataclass(frozen=True)
class Candidate:
    """An element of the bundle that is picked from: its value, the factors that it alone brings, and its text."""

    value: Value
    factors: Product
    option: Option[Value]


class Picks:
    """Turns ``pick k of B`` into a decision with weighted candidates."""

    def __init__(self, session: Session, choices: Choices, evaluate: Evaluate, turns: CallOnce) -> None:
        self.session = session
        self.choices = choices
        self.evaluate = evaluate
        self.turns = turns

    def pick(self, expr: ast.Pick, frame: Frame) -> Picked:
        """The candidates, weighted."""
        body = frame.body
        check_may_choose(body, expr.span)
        take = self._take(expr, frame)
        candidates = self._candidates(expr.bundle, frame)
        if len(candidates) > MOST_ITEMS:
            message = f"a pick has at most {MOST_ITEMS:,} candidates, not {len(candidates):,}"
            raise ElaborationError(Code.LARGE, expr.span, message)
        tensors = _tensors(candidates)
        path = new_path(body, f"{frame.name}.in")
        if take is not None and not 1 <= take <= len(candidates):
            raise ElaborationError(Code.FEW, expr.span, f"'{path}': cannot pick {take} of {len(candidates)}")
        if take is not None and take * (len(candidates) - take) > MOST_PICKS:
            message = f"'{path}': pick {take} of {len(candidates)} has too many terms: take fewer, or of fewer"
            raise ElaborationError(Code.LARGE, expr.span, message)
        options = tuple(candidate.option for candidate in candidates)
        frame.position.reading.record_choice(expr, frame.turns, ChoiceRecord(path, options))
        self.session.formula.add_factors(Choose(path, take, tuple(candidate.factors for candidate in candidates)))
        self.choices.declare(self._decision(expr, path, take, tensors, frame), body)
        weighted = tuple(
            body.add(f"{frame.name}.in.{index}", Weigh(path, index), tensor.shape, (tensor,), expr.span)
            for index, tensor in enumerate(tensors)
        )
        return Picked(path, take, weighted)

    def _take(self, expr: ast.Pick, frame: Frame) -> int | None:
        take = None if expr.count is None else self.evaluate(expr.count, frame)
        if isinstance(take, bool) or not isinstance(take, int | None):
            raise ElaborationError(Code.UNDECIDED, expr.span, "how many are picked must be a plain whole number")
        return take

    def _decision(
        self, expr: ast.Pick, path: str, take: int | None, tensors: Sequence[Tensor], frame: Frame
    ) -> Decision:
        graph = frame.body.graph
        menus = tuple(self._menu_of(tensor, frame.body) for tensor in tensors)
        sources = tuple(_source(tensor, graph) for tensor in tensors)
        names = tuple(
            tensor.name or source or graph.node(tensor.index).name
            for tensor, source in zip(tensors, sources, strict=True)
        )
        return Decision(
            path,
            DecisionKind.ANY if take is None else DecisionKind.PICK,
            names,
            tuple(True for _ in tensors),
            frame.body.copy,
            take=take or 0,
            candidates=menus if take is not None and all(menus) else (),
            sources=sources,
            span=expr.span,
        )

    def _candidates(self, expr: ast.Expr, frame: Frame) -> list[Candidate]:
        """The elements of a bundle expression, each with the factors that it alone brings."""
        formula = self.session.formula
        if isinstance(expr, ast.Tuple):
            return [found for item in expr.items for found in self._candidates(item, frame)]
        if isinstance(expr, ast.Call) and any(isinstance(arg.value, ast.Each) for arg in expr.args):
            result: list[Candidate] = []
            for inner, make in self.turns(expr, frame):
                with formula.part() as factors:
                    value = make()
                result.append(Candidate(value, tuple(factors), Option(expr, inner.position)))
            return result
        with formula.part() as factors:
            values = flatten(self.evaluate(expr, frame))
        if len(values) == 1:
            return [Candidate(values[0], tuple(factors), Option(expr, frame.position))]
        formula.add_factors(*factors)
        return [Candidate(value, (), Option(expr, frame.position, i)) for i, value in enumerate(values)]

    def _menu_of(self, tensor: Tensor, body: BodyElaboration) -> str | None:
        """The decision of a candidate that is a menu's."""
        if tensor.index in body.undecided:
            return body.undecided[tensor.index]
        payload = body.graph.node(tensor.index).payload
        if isinstance(payload, Mix) and len(payload.decisions) == 1:
            decision = self.session.decisions[payload.decisions[0]]
            if decision.kind is DecisionKind.OPERATION:
                return decision.path
        return None


def _tensors(candidates: Sequence[Candidate]) -> list[Tensor]:
    """The candidates, which have to be tensors."""
    found = []
    for candidate in candidates:
        if not isinstance(candidate.value, Tensor):
            message = f"a pick is between tensors, not {kind(candidate.value)}"
            raise ElaborationError(Code.KIND, candidate.option.expr.span, message)
        found.append(candidate.value)
    return found


def _source(tensor: Tensor, graph: SpaceGraph) -> str | None:
    """The line or input that a candidate reads, if it is just one: through the items of its mix."""
    found: set[str | None] = set()
    seen = {tensor.index}
    pending = [tensor.index]
    while pending:
        index = pending.pop()
        line = graph.node(index).line
        if line is not None or not graph.sources(index):
            found.add(line)
            continue
        more = set(graph.sources(index)) - seen
        seen |= more
        pending += more
    return found.pop() if len(found) == 1 else None
