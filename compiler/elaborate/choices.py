"""Decisions between items: inline choices and menus. Each gets a path, a place in the formula and maybe a node."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from compiler.ir.combinatorics.count_formula import Decide, Product
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.numbers import tidy
from compiler.ir.undecided import MOST_ITEMS, Var
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

from .body_elaboration import BodyElaboration
from .errors import ElaborationError
from .frame import Evaluate, Frame, Site
from .items import PresentItem, check_operations, hole_of, items_of, numbers_of, weights_of
from .mixtures import Mixtures
from .session import Session
from .trace import ChoiceRecord, Option, Reading
from .values import Bundle, Compose, Deferred, Function, Mention, Menu, Partial, Tensor, Value, callable_name, kind


def is_numeric(definition: ast.MenuDef) -> bool:
    """Whether a menu is one of numbers, as far as its text shows."""
    value = definition.value
    items = [item.value for item in value.items] if isinstance(value, ast.Choice) else [value]
    return any(isinstance(item, ast.Number) for item in items)


def new_path(body: BodyElaboration, name: str) -> str:
    """A fresh decision path for a dotted place in a body."""
    return body.unique(f"{body.copy}.{name}", body.used)


def check_may_choose(body: BodyElaboration, span: Span, hint: str | None = None) -> None:
    """Refuse a choice inside an operation, or in the arguments of a section or a replacement."""
    if not body.copy:
        message = "a choice belongs to a cell, stage or network; there is none around it here"
        raise ElaborationError(Code.KIND, span, message, "as the default of a parameter it belongs to the definition")
    if body.is_operation:
        raise ElaborationError(Code.KIND, span, f"operation '{body.definition.name}' cannot hold a choice", hint)


class Choices:
    """Turns choices of the text into decisions."""

    def __init__(self, session: Session, mixtures: Mixtures, evaluate: Evaluate) -> None:
        self.session = session
        self.mixtures = mixtures
        self.evaluate = evaluate
        self._texts: dict[int, tuple[ast.Expr, str]] = {}

    def _shown(self, item: ast.Expr) -> str:
        """An item as it is printed: the same each time its menu is mentioned."""
        known = self._texts.get(id(item))  # by identity, as in `NodeIndexes`: the entry keeps the node alive
        if known is None:
            known = self._texts[id(item)] = item, print_expression(item)
        return known[1]

    def declare(self, decision: Decision, body: BodyElaboration) -> None:
        """Register a decision, or check that another instance of the same copy made an equal one."""
        known = self.session.decisions.setdefault(decision.path, decision)
        if known != decision:
            hint = f"give the instances copies of their own: `{body.definition.name}@label`"
            message = f"two instances of '{body.copy}' choose differently at '{decision.path}'"
            raise ElaborationError(Code.INSTANCES, decision.span, message, hint, (known.span, "the other instance"))
        body.decisions.append(decision.path)

    # ------------------------------------------------------------ decisions between items

    def decide(
        self,
        items: Sequence[ast.Item],
        frame: Frame,
        name: str,
        mention: Mention,
        number_kind: DecisionKind = DecisionKind.NUMBER,
    ) -> Value:
        """Decide between items.

        Args:
            items: those of the choice, guards and ``..`` included.
            frame: where the items are read.
            name: the dotted place that the decision is named after.
            mention: the choice, or the mention of the menu, in the body that decides.
            number_kind: the kind of decision that this is where all items are numbers.

        Returns:
            The value itself where only one item is present, else an undecided value, or a mixture of tensors.
        """
        body, span = frame.body, mention.node.span
        if self.session.holes is not None:
            return hole_of(mention, frame.instance, frame.locals)
        check_may_choose(body, span, "decide outside and hand the decision over as a parameter")
        present = self.present(items, frame)
        if not present:
            raise ElaborationError(Code.FEW, span, "no item of this choice is present here")
        if len(present) == 1:
            self._record(mention, None, present, frame)
            return self.settled(self.evaluate(present[0].expr, frame), frame, name)
        if not any(item.derivable for item in present):
            raise ElaborationError(Code.UNDERIVABLE, span, "no item of this choice can be derived")
        if len(present) > MOST_ITEMS:
            raise ElaborationError(Code.LARGE, span, f"a choice has at most {MOST_ITEMS:,} items, not {len(present):,}")
        path = new_path(body, name)
        inner = frame.named(path.removeprefix(f"{body.copy}."))
        self._record(mention, path, present, inner)
        values = self._alternatives(path, present, inner)
        numbers = numbers_of(values, present)
        self.declare(
            Decision(
                path,
                number_kind if numbers else DecisionKind.OPERATION,
                tuple(self._shown(item.expr) for item in present),
                tuple(item.derivable for item in present),
                body.copy,
                numbers=numbers,
                weights=weights_of(present),
                span=span,
            ),
            body,
        )
        tensors = [value for value in values if isinstance(value, Tensor)]
        if len(tensors) == len(values):
            cases: dict[tuple[int, ...], Tensor] = {(index,): tensor for index, tensor in enumerate(tensors)}
            return self.mixtures.weighted_sum((path,), cases, Site(inner, inner.name, span))
        return Var((path,), (len(values),), tuple(values))

    def present(self, items: Sequence[ast.Item], frame: Frame) -> list[PresentItem]:
        """The items whose guards hold in the elaborated variant of the network."""
        found = []
        for item in self._spell_out(items, frame):
            if self._guard(item, frame, frame.body.relaxed):
                assert not isinstance(item.value, ast.Dots), "spelled out"
                derivable = self._guard(item, frame, relaxed=False)
                found.append(PresentItem(item.value, derivable, self._weight(item, frame)))
        return found

    def _alternatives(self, path: str, present: Sequence[PresentItem], frame: Frame) -> list[Value]:
        """The value of every item; its factors stand below it in the formula."""
        values: list[Value] = []
        factors: list[Product | None] = []
        for item in present:
            with self.session.formula.part() as part, self.session.budget.nested(item.expr.span):
                values.append(self.settled(self.evaluate(item.expr, frame), frame, frame.name))
            factors.append(tuple(part) if item.derivable else None)
        self.session.formula.add_factors(Decide(path, tuple(factors)))
        return values

    def _record(self, mention: Mention, path: str | None, present: Sequence[PresentItem], frame: Frame) -> None:
        """Record the outcome of a choice at its mention in the body that decides."""
        options = tuple(Option(item.expr, frame.position) for item in present)
        mention.position.reading.record_choice(mention.node, mention.position.each, ChoiceRecord(path, options))

    def _guard(self, item: ast.Item, frame: Frame, relaxed: bool) -> bool:
        """Whether an item is present in the relaxed, or in the discrete, network."""
        if item.guard is None:
            return True
        value = self.evaluate(item.guard, frame.variant(relaxed))
        if isinstance(value, Var):
            raise ElaborationError(
                Code.UNDECIDED, item.guard.span, f"a guard cannot depend on an undecided number: {value}"
            )
        return bool(value)

    def _weight(self, item: ast.Item, frame: Frame) -> float | None:
        """The weight of an item, where it has one."""
        if item.weight is None:
            return None
        value = self.evaluate(item.weight, frame)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ElaborationError(Code.KIND, item.weight.span, f"a weight is a number, not {kind(value)}")
        if not 0 < value < inf:
            hint = "a guard leaves an item out" if not value else None
            message = f"a weight is a finite number above 0, not {value:g}"
            raise ElaborationError(Code.RANGE, item.weight.span, message, hint)
        return float(value)

    def _spell_out(self, items: Sequence[ast.Item], frame: Frame) -> list[ast.Item]:
        """The items with ``..`` replaced by the numbers in between."""
        result: list[ast.Item] = []
        for position, item in enumerate(items):
            if not isinstance(item.value, ast.Dots):
                result.append(item)
                continue
            ends = [self._plain_number(other, frame) for other in (*result[-2:], *items[position + 1 : position + 2])]
            if len(ends) < 2 or position + 1 == len(items):
                raise ElaborationError(Code.FEW, item.span, "'..' needs a number before it and one after it")
            step = ends[1] - ends[0] if len(ends) == 3 else 1
            value = ends[-2] + step
            if step <= 0 or (ends[-1] - ends[-2]) % step:
                raise ElaborationError(Code.RANGE, item.span, f"'..' does not lead to {ends[-1]} in steps of {step}")
            if (ends[-1] - value) / step > MOST_ITEMS:
                raise ElaborationError(Code.LARGE, item.span, f"'..' stands for more than {MOST_ITEMS:,} numbers")
            while value < ends[-1]:
                result.append(ast.Item(ast.Number(str(tidy(value)), span=item.span), span=item.span))
                value += step
        return result

    def _plain_number(self, item: ast.Item, frame: Frame) -> int | float:
        value = None if isinstance(item.value, ast.Dots) else self.evaluate(item.value, frame)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ElaborationError(Code.KIND, item.span, "'..' stands between numbers")
        return value

    # ------------------------------------------------------------ menus

    def settled(self, value: Value, frame: Frame, name: str) -> Value:
        """The value with every menu in it decided, each mention separately."""
        match value:
            case Menu():
                return self.settle_menu(value, f"{name}.{callable_name(value)}", frame)
            case Partial(function=function, positional=positional, named=named):
                return Partial(
                    self.settled(function, frame, name),
                    tuple(self.settled(item, frame, name) for item in positional),
                    tuple((key, self.settled(item, frame, name)) for key, item in named),
                )
            case Compose(stages=stages):
                return Compose(tuple(self.settled(stage, frame, name) for stage in stages))
        return value

    def settle_menu(self, menu: Menu, name: str, frame: Frame) -> Value:
        """Decide a menu where it is mentioned, in the body of ``frame``."""
        mention, definition, body = menu.mention, menu.definition, frame.body
        assert mention is not None, "a menu is always mentioned by some text"
        node = mention.node
        if self.session.holes is not None:
            check_operations(items_of(definition), node.span)
            return Deferred(menu, node)
        if isinstance(node, ast.Name) and is_numeric(definition):
            _check_mentioned_once(node, mention, body)
        return self.decide(items_of(definition), self.bound(menu, name, frame), name, mention)

    def bound(self, menu: Menu, name: str, frame: Frame) -> Frame:
        """The frame in which the items of a menu are read, with the values of its parameters."""
        definition, body = menu.definition, frame.body
        assert menu.mention is not None, "a menu is always mentioned by some text"
        node = menu.mention.node
        index = None if body.trace.index is None else self.session.indexes.of(definition)
        inner = Frame.of(body, Reading(menu.instance, index, name=name, in_menu=True))
        if len(menu.args) > len(definition.params):
            takes = plural(len(definition.params), "parameter")
            raise ElaborationError(Code.ARGUMENT, node.span, f"menu '{definition.name}' takes {takes}")
        for position, param in enumerate(definition.params):
            if position < len(menu.args):
                inner.locals[param.name] = menu.args[position]
            elif param.default is not None:
                inner.locals[param.name] = self.evaluate(param.default, inner)
            else:
                raise ElaborationError(
                    Code.MISSING, node.span, f"menu '{definition.name}' needs its parameter '{param.name}'"
                )
        return inner

    def named(self, value: Value, name: str, frame: Frame) -> Value:
        """The value that a line binds to a name: its menus are decided here, once for all uses of the name.

        Menus among the arguments of a cell stay undecided, since the cell decides them where it mentions them.
        """
        match value:
            case Menu():
                return self.settle_menu(value, name, frame)
            case Bundle(items=items):
                return Bundle(tuple(self._element_named(item, name, frame) for item in items))
            case Partial() | Compose():
                return value if _is_cell(value) else self.settled(value, frame, name)
        return value

    def _element_named(self, value: Value, name: str, frame: Frame) -> Value:
        """An element of a bundle that gets a name."""
        return self.named(value, f"{name}.{callable_name(value)}" if isinstance(value, Menu) else name, frame)


def _is_cell(value: Value) -> bool:
    """Whether a value is a cell, stage or network, maybe with some of its parameters."""
    while isinstance(value, Partial):
        value = value.function
    return isinstance(value, Function) and isinstance(value.definition, ast.GraphDef)


def _check_mentioned_once(node: ast.Name, mention: Mention, body: BodyElaboration) -> None:
    """Refuse a second mention of a menu's name in a line: it would silently decide a second time."""
    reading = mention.position.reading
    if reading.in_menu or not (node.id in reading.locals or node.id in body.bindings):
        return
    line = mention.line.partition(".")[0]
    first = body.mentions.setdefault((line, node.id), node)
    if first is not node:
        hint = f"bind it first, in a line `decided = {node.id}`"
        message = f"'{node.id}' is a menu, and each mention of it decides anew"
        before, again = sorted((first.span, node.span), key=lambda span: span.start)
        raise ElaborationError(Code.BIND, again, message, hint, (before, "it decides here already"))
