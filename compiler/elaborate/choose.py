"""Decisions: inline choices, menus, picks. Each gets a path, a place in the formula and a node in the graph."""

from __future__ import annotations

from compiler.ir.combinatorics.count_formula import Choose, Decide, Product
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.numbers import tidy
from compiler.ir.payloads import Mix, Prim, Weigh
from compiler.ir.primitives.structure import Add
from compiler.ir.undecided import MOST, Var
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression

from .core import Core, callable_name, flatten
from .state import Decided, Fault, Frame, Option, Text
from .values import Bundle, Compose, Menu, Partial, Picked, Tensor, Value, kind


def is_numeric(definition: ast.MenuDef) -> bool:
    """Whether a menu is one of numbers, as far as its text shows."""
    value = definition.value
    items = [item.value for item in value.items] if isinstance(value, ast.Choice) else [value]
    return any(isinstance(item, ast.Number) for item in items)


class Choosing(Core):
    """What turns choices of the text into decisions."""

    def path(self, frame: Frame, name: str) -> str:
        """A fresh decision path for a dotted place in a text."""
        if frame.text.inside:
            raise AssertionError("checked by `declare`")
        return frame.text.unique(f"{frame.text.copy}.{name}", frame.text.used)

    def declare(self, decision: Decision, frame: Frame) -> None:
        """Register a decision, or see that another instance of the same copy made the same."""
        known = self.decisions.setdefault(decision.path, decision)
        if known != decision:
            hint = f"give the instances copies of their own: `{frame.text.definition.name}@label`"
            message = f"two instances of '{frame.text.copy}' choose differently at '{decision.path}'"
            raise Fault(Code.INSTANCES, decision.span, message, hint, (known.span, "the other instance"))
        frame.text.decisions.append(decision.path)

    def decide(
        self,
        items: tuple[ast.Item, ...],
        frame: Frame,
        name: str,
        at: tuple[ast.Node, Frame],
        kind_of: DecisionKind = DecisionKind.NUMBER,
    ) -> Value:
        """Decide between items, read in ``frame``; ``at`` is the mention in the text that decides.

        Returns the value itself where only one item is present, else an undecided value.
        """
        node, place = at
        span = node.span
        if place.text.inside:
            hint = "decide outside and hand the decision over as a parameter"
            raise Fault(Code.KIND, span, f"operation '{place.text.definition.name}' cannot hold a choice", hint)
        present: list[tuple[ast.Expr, bool]] = []
        for item in self.spell_out(items, frame):
            here = self.guard(item, frame, relaxed=True) if place.text.relaxed else self.guard(item, frame, False)
            if here:
                present.append((item.value, self.guard(item, frame, relaxed=False)))  # type: ignore[arg-type]
        if not present:
            raise Fault(Code.FEW, span, "no item of this choice is present here")
        options = tuple(Option(value, frame) for value, _ in present)
        if len(present) == 1:
            place.decided[place.key(node)] = Decided(None, options)
            return self.settled(self.eval(present[0][0], frame), frame, name)
        if not any(derivable for _, derivable in present):
            raise Fault(Code.UNDERIVABLE, span, "no item of this choice can be derived")
        path = self.path(place, name)
        inner = frame.sub(name=path.removeprefix(f"{place.text.copy}."))
        options = tuple(Option(value, inner) for value, _ in present)
        place.decided[place.key(node)] = Decided(path, options)
        values: list[Value] = []
        factors: list[Product | None] = []
        for value, derivable in present:
            with self.scope() as scope, self.deeper(value.span):
                values.append(self.settled(self.eval(value, inner), inner, inner.name))
            factors.append(tuple(scope) if derivable else None)
        self.factor(Decide(path, tuple(factors)))
        numbers = tuple(value for value in values if isinstance(value, int | float))
        if len(numbers) != len(values):
            numbers, kind_of = (), DecisionKind.OPERATION
            for value, expr in zip(values, (value for value, _ in present), strict=True):
                if isinstance(value, int | float | str | Bundle):
                    raise Fault(Code.KIND, expr.span, f"{kind(value)} cannot stand beside an operation in a choice")
        decision = Decision(
            path,
            kind_of,
            tuple(print_expression(value) for value, _ in present),
            tuple(derivable for _, derivable in present),
            place.text.copy,
            numbers=numbers,
            span=span,
        )
        self.declare(decision, place)
        if all(isinstance(value, Tensor) for value in values):
            cases: dict[tuple[int, ...], Tensor] = {(index,): value for index, value in enumerate(values)}
            return self.mix((path,), cases, place.text, inner.name, span)
        return Var((path,), (len(values),), tuple(values))

    def guard(self, item: ast.Item, frame: Frame, relaxed: bool) -> bool:
        """Whether an item is present in the relaxed, or in the discrete, network."""
        if item.guard is None:
            return True
        value = self.eval(item.guard, frame.sub(relaxed=relaxed, seen={}))
        if isinstance(value, Var):
            raise Fault(Code.UNDECIDED, item.guard.span, f"a guard cannot depend on an undecided number: {value}")
        return bool(value)

    def spell_out(self, items: tuple[ast.Item, ...], frame: Frame) -> list[ast.Item]:
        """The items with ``..`` replaced by the numbers in between."""
        result: list[ast.Item] = []
        for position, item in enumerate(items):
            if not isinstance(item.value, ast.Dots):
                result.append(item)
                continue
            ends = [self.plain_number(other, frame) for other in (*result[-2:], *items[position + 1 : position + 2])]
            if len(ends) < 2 or position + 1 == len(items):
                raise Fault(Code.FEW, item.span, "'..' needs a number before it and one after it")
            step = ends[1] - ends[0] if len(ends) == 3 else 1
            value = ends[-2] + step
            if step <= 0 or (ends[-1] - ends[-2]) % step:
                raise Fault(Code.RANGE, item.span, f"'..' does not lead to {ends[-1]} in steps of {step}")
            if (ends[-1] - value) / step > MOST:
                raise Fault(Code.LARGE, item.span, f"'..' stands for more than {MOST} numbers")
            while value < ends[-1]:
                result.append(ast.Item(ast.Number(str(tidy(value)), span=item.span), span=item.span))
                value += step
        return result

    def plain_number(self, item: ast.Item, frame: Frame) -> int | float:
        value = None if isinstance(item.value, ast.Dots) else self.eval(item.value, frame)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Fault(Code.KIND, item.span, "'..' stands between numbers")
        return value

    def settled(self, value: Value, frame: Frame, path: str) -> Value:
        """The value with every menu in it decided, each mention by itself."""
        match value:
            case Menu():
                return self.settle_menu(value, f"{path}.{callable_name(value)}", frame)
            case Partial(function=function, positional=positional, named=named):
                return Partial(
                    self.settled(function, frame, path),
                    tuple(self.settled(item, frame, path) for item in positional),
                    tuple((name, self.settled(item, frame, path)) for name, item in named),
                )
            case Compose(stages=stages):
                return Compose(tuple(self.settled(stage, frame, path) for stage in stages))
        return value

    def settle_menu(self, menu: Menu, name: str, frame: Frame) -> Value:
        """Decide a menu where it is mentioned."""
        if menu.mention is None:
            raise AssertionError("a menu is always mentioned by some text")
        definition = menu.definition
        node, place = menu.mention
        place = place.sub(text=frame.text) if place.text is not frame.text else place
        if isinstance(node, ast.Name) and is_numeric(definition):
            self.decide_once(node, place)
        locals_: dict[str, Value] = {}
        inner = Frame(frame.text, menu.instance, name, locals_, foreign=True, depth=frame.depth + 1)
        if len(menu.args) > len(definition.params):
            raise Fault(Code.ARGUMENT, node.span, f"menu '{definition.name}' takes {len(definition.params)} parameters")
        for index, param in enumerate(definition.params):
            if index < len(menu.args):
                locals_[param.name] = menu.args[index]
            elif param.default is not None:
                locals_[param.name] = self.eval(param.default, inner)
            else:
                raise Fault(Code.MISSING, node.span, f"menu '{definition.name}' needs its parameter '{param.name}'")
        value = definition.value
        items = value.items if isinstance(value, ast.Choice) else (ast.Item(value, span=value.span),)
        return self.decide(items, inner, name, (node, place))

    def decide_once(self, node: ast.Name, place: Frame) -> None:
        """Refuse a second mention of a parameter in a line: it would silently decide a second time."""
        if place.foreign or not (node.id in place.locals or node.id in place.text.bindings):
            return
        line = place.name.partition(".")[0]
        first = place.text.mentions.setdefault((line, node.id), node)
        if first is not node:
            hint = f"bind it first, in a line `decided = {node.id}`"
            message = f"'{node.id}' is a menu, and each mention of it decides anew"
            before, again = sorted((first.span, node.span), key=lambda span: span.start)
            raise Fault(Code.BIND, again, message, hint, (before, "it decides here already"))

    # ------------------------------------------------------------ picks

    def pick(self, expr: ast.Pick, frame: Frame) -> Picked:
        """``pick k of B``: the candidates, weighed."""
        text = frame.text
        if text.inside:
            raise Fault(Code.KIND, expr.span, f"operation '{text.definition.name}' cannot hold a choice")
        take = None if expr.count is None else self.eval(expr.count, frame)
        if isinstance(take, Var | bool) or not isinstance(take, int | None):
            raise Fault(Code.UNDECIDED, expr.span, "how many are picked must be a plain whole number")
        found = self.candidates(expr.bundle, frame)
        for value, _, option in found:
            if not isinstance(value, Tensor):
                raise Fault(Code.KIND, option.value.span, f"a pick is between tensors, not {kind(value)}")
        path = self.path(frame, f"{frame.name}.in")
        if take is not None and not 1 <= take <= len(found):
            raise Fault(Code.FEW, expr.span, f"'{path}': cannot pick {take} of {len(found)}")
        frame.decided[frame.key(expr)] = Decided(path, tuple(option for _, _, option in found))
        menus = tuple(self._menu_of(value, text) for value, _, _ in found)
        sources = tuple(self._source(value, text) for value, _, _ in found)
        names = (
            value.name or source or text.graph.node(value.index).name
            for (value, _, _), source in zip(found, sources, strict=True)
        )
        self.factor(Choose(path, take, tuple(factors for _, factors, _ in found)))
        self.declare(
            Decision(
                path,
                DecisionKind.ANY if take is None else DecisionKind.PICK,
                tuple(names),
                tuple(True for _ in found),
                text.copy,
                take=take or 0,
                candidates=menus if take is not None and all(menus) else (),
                sources=sources,
                span=expr.span,
            ),
            frame,
        )
        weighed = tuple(
            text.add(f"{frame.name}.in.{index}", Weigh(path, index), value.shape, (value,), expr.span)
            for index, (value, _, _) in enumerate(found)
        )
        return Picked(path, take, weighed)

    def candidates(self, expr: ast.Expr, frame: Frame) -> list[tuple[Value, Product, Option]]:
        """The elements of a bundle expression, each with the factors that it alone brings."""
        if isinstance(expr, ast.Tuple):
            return [found for item in expr.items for found in self.candidates(item, frame)]
        if isinstance(expr, ast.Call) and any(isinstance(arg.value, ast.Each) for arg in expr.args):
            result: list[tuple[Value, Product, Option]] = []
            for inner, make in self.iterate(expr, frame):
                with self.scope() as factors:
                    value = make()
                result.append((value, tuple(factors), Option(expr, inner)))
            return result
        with self.scope() as factors:
            values = flatten(self.eval(expr, frame))
        if len(values) == 1:
            return [(values[0], tuple(factors), Option(expr, frame))]
        self.factor(*factors)
        return [
            (value, (), Option(ast.Name(getattr(value, "name", None) or "?", span=expr.span), frame))
            for value in values
        ]

    def _menu_of(self, tensor: Tensor, text: Text) -> str | None:
        """The decision of a candidate that is a menu's."""
        payload = text.graph.node(tensor.index).payload
        if isinstance(payload, Mix) and len(payload.decisions) == 1:
            decision = self.decisions[payload.decisions[0]]
            if decision.kind is DecisionKind.OPERATION:
                return decision.path
        return None

    def _source(self, tensor: Tensor, text: Text) -> str | None:
        """The line or input that a candidate reads, if it is just one: through the items of its mix."""
        graph = text.graph
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

    def combine(self, picked: Picked, frame: Frame, spot: str | None, span: Span) -> Tensor:
        """A pick of one, read as the tensor that it is."""
        if picked.take != 1:
            many = "any number" if picked.take is None else str(picked.take)
            raise Fault(Code.KIND, span, f"a pick of {many} is a bundle; `sum(pick ...)` adds it up")
        name = spot or f"{frame.name}.in"
        shape = self.shape_of_one((picked.decision,), (len(picked.items),), picked.items, span)
        return frame.text.add(name, Prim(Add()), shape, picked.items, span)
