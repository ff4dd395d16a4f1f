"""Picks: some of several tensors. The candidates are weighted, and become a decision."""

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
    """Turns ``pick a..b of B`` into a decision with weighted candidates."""

    def __init__(self, session: Session, choices: Choices, evaluate: Evaluate, turns: CallOnce) -> None:
        self.session = session
        self.choices = choices
        self.evaluate = evaluate
        self.turns = turns

    def pick(self, expr: ast.Pick, frame: Frame) -> Picked:
        """The candidates, weighted."""
        body = frame.body
        check_may_choose(body, expr.span)
        candidates = self._candidates(expr.bundle, frame)
        if len(candidates) > MOST_ITEMS:
            message = f"a pick has at most {MOST_ITEMS:,} candidates, not {len(candidates):,}"
            raise ElaborationError(Code.LARGE, expr.span, message)
        tensors = _tensors(candidates)
        path = new_path(body, f"{frame.name}.in")
        decision = self._decision(expr, path, self._bounds(expr, len(candidates), path, frame), tensors, frame)
        least, most = decision.least, decision.most
        if decision.bounded and most * (len(candidates) - least) > MOST_PICKS:
            message = (
                f"'{path}': pick {decision.amount} of {len(candidates)} has too many terms: take fewer, or of fewer"
            )
            raise ElaborationError(Code.LARGE, expr.span, message)
        options = tuple(candidate.option for candidate in candidates)
        frame.position.reading.record_choice(expr, frame.turns, ChoiceRecord(path, options))
        self.session.formula.add_factors(Choose(path, least, most, tuple(c.factors for c in candidates)))
        self.choices.declare(decision, body)
        weighted = tuple(
            body.add(f"{frame.name}.in.{index}", Weigh(path, index), tensor.shape, (tensor,), expr.span)
            for index, tensor in enumerate(tensors)
        )
        return Picked(path, weighted)

    def _bounds(self, expr: ast.Pick, count: int, path: str, frame: Frame) -> tuple[int, int]:
        """The least and the most of ``count`` candidates that are taken."""
        match expr.count:
            case None:
                return 0, count
            case ast.Range(low, high):
                least, most = self._number(low, frame), self._number(high, frame)
                what = f"'{path}': cannot pick {least}..{most} of {count}"
                if least < 0:
                    raise ElaborationError(Code.FEW, low.span, f"{what}: no fewer than 0 are taken")
                if most < least:
                    raise ElaborationError(Code.FEW, expr.count.span, f"{what}: the smaller number stands first")
                if not 1 <= most <= count:
                    why = "there are no more" if most else "`pick 0..0` takes nothing"
                    hint = f"a bound may follow from an index, as in `min({most}, i + 1)`" if most else None
                    raise ElaborationError(Code.FEW, high.span, f"{what}: {why}", hint)
                return least, most
        take = self._number(expr.count, frame)
        if not 1 <= take <= count:
            raise ElaborationError(Code.FEW, expr.span, f"'{path}': cannot pick {take} of {count}")
        return take, take

    def _number(self, expr: ast.Expr, frame: Frame) -> int:
        value = self.evaluate(expr, frame)
        if isinstance(value, bool) or not isinstance(value, int):
            raise ElaborationError(Code.UNDECIDED, expr.span, "how many are picked must be a plain whole number")
        return value

    def _decision(
        self, expr: ast.Pick, path: str, bounds: tuple[int, int], tensors: Sequence[Tensor], frame: Frame
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
            DecisionKind.PICK,
            names,
            tuple(True for _ in tensors),
            frame.body.copy,
            least=bounds[0],
            most=bounds[1],
            candidates=menus if expr.count is not None and all(menus) else (),
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
        """The decision of a candidate that is a menu's; that of a line is made for all that read it."""
        if body.graph.node(tensor.index).line is not None:
            return None
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
