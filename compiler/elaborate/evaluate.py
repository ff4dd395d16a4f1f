"""Expressions: from syntax to values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from compiler.ir.decision import DecisionKind
from compiler.ir.numbers import BINARY, COMPARISONS, COMPUTE, reason, tidy
from compiler.ir.payloads import Prim, Weigh
from compiler.ir.primitives.structure import Add, Concat, Mul
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, TooLarge, Var, lift
from hdas_dsl.files import Entity, Found, Instance, Namespace, Replacement
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, CONSTANTS, NUMERIC, element_name, element_of

from .choose import Choosing
from .core import callable_name, flatten, is_tensors, plural
from .state import Family, Fault, Frame, Silent, Text
from .values import (
    UNKNOWN,
    Builtin,
    Bundle,
    Callables,
    Compose,
    Copies,
    Function,
    Menu,
    Partial,
    Picked,
    Space,
    Tensor,
    Value,
    kind,
    shown,
)


def addends(expr: ast.Expr) -> list[ast.Expr]:
    """The terms of ``a + b + c``."""
    if isinstance(expr, ast.Binary) and expr.op == "+":
        return [*addends(expr.left), *addends(expr.right)]
    return [expr]


class Evaluating(Choosing):
    """What an expression means in a frame."""

    def eval(self, expr: ast.Expr, frame: Frame, spot: str | None = None, last: int | None = None) -> Value:
        """The value of an expression.

        ``spot`` is the place it is named after when a line is all it makes. Of a bundle, only the ``last`` so many
        values matter, so that a long family is not read as often as it has elements.
        """
        self.step(expr.span)
        try:
            value = self._eval(expr, frame, spot, last)
            if isinstance(value, Bundle):
                self.step(expr.span, len(flatten(value)))
            elif isinstance(value, Var):
                self.step(expr.span, len(value.values))
        except TooLarge as error:
            raise Fault(Code.LARGE, expr.span, str(error)) from None
        if value is UNKNOWN:
            raise Silent
        frame.seen[frame.key(expr)] = value
        return value

    def _eval(self, expr: ast.Expr, frame: Frame, spot: str | None, last: int | None) -> Value:
        match expr:
            case ast.Number():
                return expr.value
            case ast.String():
                return expr.value
            case ast.Name():
                return self.name(expr, frame)
            case ast.Tuple():
                return Bundle(tuple(self.eval(item, frame, last=last) for item in expr.items))
            case ast.Field():
                return self.field(expr, frame)
            case ast.Index():
                return self.index(expr, frame)
            case ast.Copy():
                return self.copy(expr, frame)
            case ast.Call():
                return self.call(expr, frame, spot)
            case ast.Each():
                raise Fault(Code.KIND, expr.span, "`each` stands only as an argument of a call")
            case ast.Earlier():
                return self.earlier(expr, frame, last)
            case ast.Take():
                return self.take(expr, frame, spot)
            case ast.Pipe():
                return self.pipe(expr, frame, spot)
            case ast.Unary():
                return self.unary(expr, frame)
            case ast.Binary():
                return self.binary(expr, frame, spot)
            case ast.If():
                return self.condition(expr, frame, spot)
            case ast.Choice():
                return self.decide(expr.items, frame, spot or f"{frame.name}.choice", (expr, frame))
            case ast.Pick():
                picked = self.pick(expr, frame)
                return self.combine(picked, frame, spot, expr.span) if picked.take == 1 else picked
        raise AssertionError(expr)

    # ------------------------------------------------------------ names

    def name(self, expr: ast.Name, frame: Frame) -> Value:
        if expr.id in frame.locals:
            return self.mentioned(frame.locals[expr.id], expr, frame)
        text = frame.text
        if not frame.foreign:
            if expr.id in text.bindings:
                return self.mentioned(text.bindings[expr.id], expr, frame)
            if expr.id in text.families:
                return self.family(text.families[expr.id])
            if element := element_of(expr.id):
                family = text.families.get(element[0])
                if family is not None and element[1] in family.elements:
                    return self.member(family, element[1], expr.span)
        if expr.id in CONSTANTS:
            return CONSTANTS[expr.id]
        if expr.id == "relaxed":
            if frame.relaxed is None:
                text.consulted = True
            return text.relaxed if frame.relaxed is None else frame.relaxed
        if expr.id == "open":
            return self.open()
        found = frame.instance.lookup(expr.id)
        if found is not None:
            return self.mentioned(self.found(found, expr.id), expr, frame)
        if expr.id in BUILTINS:
            return Builtin(expr.id)
        element = element_of(expr.id)
        if element is not None and element[0] in text.families and not frame.foreign:
            return self.member(text.families[element[0]], element[1], expr.span)
        known = [*frame.locals, *text.bindings, *text.families, *frame.instance.unit.visible(), *BUILTINS]
        raise Fault(Code.UNKNOWN_NAME, expr.span, f"unknown name '{expr.id}'", suggest(expr.id, known))

    def mentioned(self, value: Value, node: ast.Node, frame: Frame) -> Value:
        """A menu remembers who mentions it: the decision will be made, and written, there."""
        return replace(value, mention=(node, frame)) if isinstance(value, Menu) else value

    def found(self, found: Found, name: str) -> Value:
        """What a module-level name stands for."""
        match found:
            case Namespace(instance=instance):
                return Space(instance)
            case Replacement(value=value, instance=instance):
                with self.deeper(value.span):
                    return self.eval(value, self.module_frame(instance))
            case Entity(definitions=definitions, instance=instance):
                plain = found.plain
                if isinstance(plain, ast.MenuDef):
                    return Menu(plain, instance)
                if plain is not None:
                    return Function(plain, instance)
                graphs = tuple(d for d in definitions if isinstance(d, ast.GraphDef))
                return Copies(name, graphs, instance)

    def module_frame(self, instance: Instance) -> Frame:
        """A frame outside of any text, for expressions that stand at the top of a file."""
        nobody = ast.MenuDef(ast.Ident(""), (), ast.Number("0"))
        return Frame(Text(nobody, instance, "", "op", relaxed=False), instance, "")

    def family(self, family: Family) -> Value:
        """All elements; as many as the size says where that is a decision."""
        elements = family.values()
        if family.size is None:
            return Bundle(elements)
        sizes = family.size.numbers
        return Var((family.size.path,), (len(sizes),), tuple(Bundle(elements[: int(size)]) for size in sizes))

    def member(self, family: Family, index: tuple[int, ...], span: Span) -> Value:
        if index not in family.elements:
            have = ", ".join(element_name(family.name, known) for known in family.elements)
            have = have if len(have) < 60 else f"{len(family.elements)} of them"
            hint = f"the elements of '{family.name}' here: {have or 'none'}"
            raise Fault(Code.RANGE, span, f"'{element_name(family.name, index)}' does not exist", hint)
        if family.size is not None and index[0] >= min(family.size.numbers):
            message = f"'{element_name(family.name, index)}' may not exist: '{family.size.path}' may end before it"
            raise Fault(Code.RANGE, span, message)
        return family.elements[index]

    def field(self, expr: ast.Field, frame: Frame) -> Value:
        fields = self.element_fields(expr.base, frame)
        if fields is not None and expr.name in fields:
            return fields[expr.name]
        base = self.eval(expr.base, frame)
        match base:
            case Space(instance=instance):
                found = instance.lookup(expr.name) if expr.name in instance.unit.names else None
                if found is None:
                    hint = suggest(expr.name, instance.unit.names)
                    where = instance.unit.source.name
                    raise Fault(Code.UNKNOWN_NAME, expr.span, f"'{where}' defines no '{expr.name}'", hint)
                return self.mentioned(self.found(found, expr.name), expr, frame)
            case Tensor(shape=shape):
                return self.dimension(shape, expr)
            case Picked(items=items) | Bundle(items=items) if items and isinstance(items[0], Tensor):
                raise Fault(Code.KIND, expr.span, f"a bundle has no '{expr.name}'; take one element of it")
            case Var(values=values) if isinstance(values[0], Tensor):
                return self.dimension(values[0].shape, expr)
        raise Fault(Code.KIND, expr.span, f"{kind(base)} has no '{expr.name}'")

    def dimension(self, shape: Shape, expr: ast.Field) -> Value:
        """``x.c``, ``x.h``, ``x.w``, ``x.n``, ``x.rest``, ``x.size`` of a tensor."""
        match expr.name, len(shape.dims):
            case "c", _:
                return shape.c
            case "h", 3:
                return shape.dims[1]
            case "w", 3:
                return shape.dims[2]
            case "n", 2:
                return shape.dims[1]
            case "rest", _:
                return Bundle(shape.space)
            case "size", _:
                size: Value = 1
                for dim in shape.dims:
                    size = lift(lambda a, b: a * b, size, dim)
                return size
        message = f"a tensor of shape {shape} has no '{expr.name}'"
        has = {3: "c, h, w, rest and size", 2: "c, n, rest and size"}.get(len(shape.dims), "c, rest and size")
        raise Fault(Code.SHAPE, expr.span, message, f"it has {has}")

    def element_fields(self, base: ast.Expr, frame: Frame) -> dict[str, Value] | None:
        """The where-names of an element, if ``base`` names one."""
        if frame.foreign:
            return None
        name: str | None = None
        if isinstance(base, ast.Name):
            name = base.id
        elif isinstance(base, ast.Index) and isinstance(base.base, ast.Name):
            indices = [None if isinstance(i, ast.Range) else self.eval(i, frame) for i in base.indices]
            if all(isinstance(index, int) for index in indices):
                name = element_name(base.base.id, tuple(int(index) for index in indices if index is not None))
        found = frame.text.fields.get(name) if name else None
        return None if found is None else dict(found)

    def index(self, expr: ast.Index, frame: Frame) -> Value:
        if isinstance(expr.base, ast.Name) and not frame.foreign and expr.base.id in frame.text.families:
            family = frame.text.families[expr.base.id]
            axes: list[Sequence[int]] = []
            for index in expr.indices:
                if isinstance(index, ast.Range):
                    axes.append(range(self.whole(index.low, frame), self.whole(index.high, frame) + 1))
                else:
                    axes.append((self.whole(index, frame),))
            arity = len(next(iter(family.elements), axes))
            if len(axes) != arity:
                raise Fault(
                    Code.RANGE, expr.span, f"'{family.name}' has {plural(arity, 'index', 'indices')}, not {len(axes)}"
                )
            if not any(isinstance(index, ast.Range) for index in expr.indices):
                return self.member(family, tuple(axis[0] for axis in axes), expr.span)
            chosen = {i: v for i, v in family.elements.items() if all(a in x for a, x in zip(i, axes, strict=True))}
            return Bundle(replace(family, elements=chosen).values())
        base = self.eval(expr.base, frame)
        if isinstance(base, Bundle) and len(expr.indices) == 1 and not isinstance(expr.indices[0], ast.Range):
            at = self.whole(expr.indices[0], frame)
            if not -len(base.items) <= at < len(base.items):
                raise Fault(Code.RANGE, expr.span, f"there is no element {at} of {len(base.items)}")
            return base.items[at]
        raise Fault(Code.KIND, expr.span, f"{kind(base)} has no elements to index")

    def copy(self, expr: ast.Copy, frame: Frame) -> Value:
        base = self.eval(expr.base, frame)
        if not isinstance(base, Function | Copies):
            raise Fault(Code.COPY, expr.span, f"'@' makes a copy of a cell, stage or network, not of {kind(base)}")
        text = frame.text
        if isinstance(expr.label, ast.Name) and expr.label.id == "fresh":
            label = text.unique(f"{frame.name.replace('.', '_')}", text.used)
        elif isinstance(expr.label, ast.Name) and self.is_word(expr.label.id, frame):
            label = expr.label.id
        else:
            value = self.eval(expr.label, frame)
            if isinstance(value, bool) or not isinstance(value, int | str):
                raise Fault(Code.COPY, expr.label.span, f"a label is a whole number or a name, not {shown(value)}")
            label = str(value)
        if isinstance(base, Function):
            if isinstance(base.definition, ast.OpDef):
                return base
            name = self.title(replace(base, label=None))
        else:
            name = base.name
        owner = "" if text.root or not text.copy else f"{text.copy}."
        path = f"{owner}{name}@{label}"
        definitions = base.definitions if isinstance(base, Copies) else self.siblings(base)
        for definition in definitions:
            if str(definition.copy) == path:
                return Function(definition, base.instance, path)
        if isinstance(base, Copies):
            known = ", ".join(str(definition.copy) for definition in base.definitions)
            raise Fault(Code.COPY, expr.span, f"there is no '{path}'", f"there are {known}")
        return replace(base, label=path)

    def is_word(self, name: str, frame: Frame) -> bool:
        """Whether a label is a bare word rather than a value in scope."""
        bound = name in frame.locals or (not frame.foreign and name in frame.text.bindings)
        return not bound

    def siblings(self, function: Function) -> tuple[ast.GraphDef, ...]:
        definitions = function.instance.unit.names.get(function.name, [])
        return tuple(d for d in definitions if isinstance(d, ast.GraphDef))

    # ------------------------------------------------------------ bundles

    def earlier(self, expr: ast.Earlier, frame: Frame, last: int | None) -> Value:
        """The elements before this one, or those that hold the last so many values."""
        if frame.element is None or frame.element[0] != expr.family:
            raise Fault(
                Code.NOT_EARLIER, expr.span, f"`earlier {expr.family}` stands only in a line of '{expr.family}'"
            )
        family = frame.text.families.get(expr.family)
        if family is None:
            return Bundle(())
        return Bundle(family.values() if last is None else family.last(last))

    def take(self, expr: ast.Take, frame: Frame, spot: str | None) -> Value:
        count = None if expr.count is None else self.whole(expr.count, frame)
        most = (1 if count is None else count) if expr.end is ast.End.LAST else None
        bundle = self.eval(expr.bundle, frame, last=most)

        def cut(value: Value) -> Value:
            items = flatten(value)
            if count is not None:
                kept = items[-count:] if expr.end is ast.End.LAST else items[:count]
                return Bundle(tuple(kept if count else ()))
            if not items:
                raise Fault(Code.FEW, expr.span, "there is no element to take")
            return items[-1 if expr.end is ast.End.LAST else 0]

        if isinstance(bundle, Var):
            name = spot or f"{frame.name}.{expr.end.value}"
            return self.fork([bundle], lambda values: cut(values[0]), frame.text, name, expr.span)
        return cut(bundle)

    def previous(self, expr: ast.Call, frame: Frame) -> Value:
        """``prev(s1 ... sk)``: the last k of the seeds and the earlier elements of this family."""
        seeds = [part for arg in expr.args for part in flatten(self.eval(arg.value, frame))]
        earlier: list[Value] = []
        if frame.element is not None and frame.element[0] in frame.text.families:
            earlier = list(frame.text.families[frame.element[0]].last(len(seeds)))
        kept = [*seeds, *earlier][-len(seeds) :] if seeds else []
        if not kept:
            raise Fault(Code.FEW, expr.span, "`prev` needs what comes before the first element")
        return kept[0] if len(kept) == 1 else Bundle(tuple(kept))

    # ------------------------------------------------------------ numbers

    def number(self, expr: ast.Expr, frame: Frame) -> Value:
        """A number or truth value, maybe undecided."""
        value = self.eval(expr, frame)
        if isinstance(value, Menu):
            value = self.settle_menu(value, f"{frame.name}.{callable_name(value)}", frame)
        if isinstance(value, Open | int | float | str):
            return value
        if isinstance(value, Var) and isinstance(value.values[0], int | float):
            return value
        raise Fault(Code.KIND, expr.span, f"a number is needed here, not {kind(value)}")

    def whole(self, expr: ast.Expr, frame: Frame) -> int:
        """A plain whole number."""
        value = self.number(expr, frame)
        if isinstance(value, Var):
            raise Fault(Code.UNDECIDED, expr.span, f"a decided number is needed here, not one {value}")
        if isinstance(value, bool) or not isinstance(tidy(value), int):
            raise Fault(Code.KIND, expr.span, f"a whole number is needed here, not {shown(value)}")
        return int(value)

    def unary(self, expr: ast.Unary, frame: Frame) -> Value:
        operand = self.number(expr.operand, frame)
        if isinstance(operand, Open | str):
            raise Fault(Code.KIND, expr.operand.span, f"'{expr.op}' needs a number, not {kind(operand)}")
        return lift((lambda x: not x) if expr.op == "not" else (lambda x: -x), operand)

    def binary(self, expr: ast.Binary, frame: Frame, spot: str | None) -> Value:
        if expr.op in ("and", "or"):
            left = self.number(expr.left, frame)
            if isinstance(left, Var):
                right = self.number(expr.right, frame)
                return lift((lambda a, b: a and b) if expr.op == "and" else (lambda a, b: a or b), left, right)
            if bool(left) is (expr.op == "or"):
                return left
            return self.number(expr.right, frame)
        if expr.op == "+":
            leaves = addends(expr)
            values = [self.eval(leaf, frame) for leaf in leaves]
            if any(is_tensors(value) for value in values):
                name = spot or f"{frame.name}.sum"
                terms = [
                    (t, leaf.span) for leaf, v in zip(leaves, values, strict=True) for t in self.tensors(v, leaf, frame)
                ]
                return self.add_up(terms, frame, name, expr.span)
            total = values[0]
            for value in values[1:]:
                total = self.arithmetic(expr, total, value, frame)
            return total
        left, right = self.eval(expr.left, frame), self.eval(expr.right, frame)
        if is_tensors(left) or is_tensors(right):
            return self.gate(expr, left, right, frame, spot)
        return self.arithmetic(expr, left, right, frame)

    def arithmetic(self, expr: ast.Binary, left: Value, right: Value, frame: Frame) -> Value:
        """An infix word between numbers, of which some may be undecided."""
        if expr.op == "in" and isinstance(right, Bundle):
            return lift(lambda a: any(a == item for item in right.items), left)
        sides = []
        for value, side in ((left, expr.left), (right, expr.right)):
            if isinstance(value, Menu):
                value = self.settle_menu(value, f"{frame.name}.{callable_name(value)}", frame)
            if not isinstance(value, int | float | str | Open | Var) or isinstance(value, str) != isinstance(left, str):
                raise Fault(Code.KIND, side.span, f"'{expr.op}' needs numbers, not {kind(value)}")
            sides.append(value)
        if isinstance(left, str) and expr.op not in COMPARISONS:
            raise Fault(Code.KIND, expr.left.span, f"'{expr.op}' needs numbers, not a text")
        if any(isinstance(side, Open) for side in sides):
            return True if expr.op == "==" and sides[0] is sides[1] else self.open()
        try:
            return lift(lambda a, b: tidy(BINARY[expr.op](a, b)), *sides)
        except (ArithmeticError, TypeError) as error:
            raise Fault(Code.RANGE, expr.span, f"'{expr.op}' has no value here: {reason(error)}") from None

    def gate(self, expr: ast.Binary, left: Value, right: Value, frame: Frame, spot: str | None) -> Value:
        """``x * g``: element by element, or channel by channel when g is a vector."""
        if expr.op != "*":
            raise Fault(Code.KIND, expr.span, f"'{expr.op}' is not defined between tensors; '+' adds and '*' gates")
        tensors = [self.tensor(value, side, frame) for value, side in ((left, expr.left), (right, expr.right))]
        shape, gate = tensors[0].shape, tensors[1].shape
        if gate != shape and gate.dims != (shape.c,):
            raise Fault(Code.SHAPE, expr.span, f"'*' gates {shape} by the same shape or by {shape.c}, not by {gate}")
        return frame.text.add(spot or f"{frame.name}.gate", Prim(Mul()), shape, tuple(tensors), expr.span)

    def tensors(self, value: Value, expr: ast.Expr, frame: Frame) -> list[Tensor]:
        result: list[Tensor] = []
        for part in flatten(value):
            if isinstance(part, Picked):
                result += part.items
            else:
                result.append(self.tensor(part, expr, frame))
        return result

    def tensor(self, value: Value, expr: ast.Expr, frame: Frame) -> Tensor:
        if isinstance(value, Picked):
            return self.combine(value, frame, None, expr.span)
        if not isinstance(value, Tensor):
            raise Fault(Code.KIND, expr.span, f"a tensor is needed here, not {kind(value)}")
        return value

    def add_up(self, terms: Sequence[tuple[Tensor, Span]], frame: Frame, name: str, span: Span) -> Tensor:
        """The sum of tensors of one shape."""
        if not terms:
            raise Fault(Code.FEW, span, "there is nothing to sum")
        self.something([term for term, _ in terms], frame, "sum", span)
        first, first_span = terms[0]
        shape = first.shape
        for term, term_span in terms[1:]:
            if term.shape == shape:
                continue
            where = self.place(frame)
            here, there = (self.called(first, frame), self.called(term, frame))
            if term.shape.space != shape.space:
                message = f"{where}cannot add {here} of shape {shape} and {there} of shape {term.shape}"
                raise Fault(Code.RESOLUTION, term_span, message, None, (first_span, f"{here} is {shape} here"))
            if isinstance(shape.c, Open) or isinstance(term.shape.c, Open):
                shape = term.shape if isinstance(shape.c, Open) else shape
                continue
            if isinstance(shape.c, Var) or isinstance(term.shape.c, Var):
                message = f"{where}widths differ: {shape.c} and {term.shape.c}"
                other = (first_span, f"{here} has the width {shape.c}")
                raise Fault(Code.WIDTHS, term_span, message, "bind one choice, or project", other)
            message = f"{where}cannot add {here} with {shape.c} channels and {there} with {term.shape.c}"
            raise Fault(Code.CHANNELS, term_span, message, None, (first_span, f"{here} is {shape} here"))
        if len(terms) == 1 and not isinstance(frame.text.graph.node(first.index).payload, Weigh):
            return first
        return frame.text.add(name, Prim(Add()), shape, tuple(term for term, _ in terms), span)

    def something(self, tensors: Sequence[Tensor], frame: Frame, what: str, span: Span) -> None:
        """Refuse a sum or concatenation that may be of nothing, unless the text says what happens then: `prune`."""
        if frame.text.prune:
            return
        for tensor in tensors:
            payload = frame.text.graph.node(tensor.index).payload
            if not isinstance(payload, Weigh) or self.decisions[payload.decision].kind is not DecisionKind.ANY:
                return
        hint = "put something beside it that is always there, or `prune` in this text"
        raise Fault(Code.FEW, span, f"{self.place(frame)}this {what} may be of nothing", hint)

    def place(self, frame: Frame) -> str:
        """Where an error is, in front of its message."""
        return f"'{frame.text.copy}.{frame.name}': " if frame.text.copy else ""

    def called(self, tensor: Tensor, frame: Frame) -> str:
        return f"'{tensor.name or frame.text.graph.node(tensor.index).name}'"

    # ------------------------------------------------------------ conditions and pipes

    def condition(self, expr: ast.If, frame: Frame, spot: str | None) -> Value:
        cond = self.number(expr.cond, frame)
        if isinstance(cond, Open):
            raise Fault(Code.UNDECIDED, expr.cond.span, "a condition cannot depend on an open width")
        if not isinstance(cond, Var):
            return self.eval(expr.then if cond else expr.orelse, frame, spot)
        made: dict[bool, Value] = {}

        def branch(values: Sequence[Value]) -> Value:
            key = bool(values[0])
            if key not in made:
                made[key] = self.eval(expr.then if key else expr.orelse, frame, None)
            return made[key]

        return self.fork([cond], branch, frame.text, spot or f"{frame.name}.if", expr.span)

    def pipe(self, expr: ast.Pipe, frame: Frame, spot: str | None) -> Value:
        value = self.eval(expr.stages[0], frame)
        stages = expr.stages[1:]
        if not is_tensors(value):
            functions = [value, *(self.stage(stage, frame) for stage in stages)]
            for function, stage in zip(functions, expr.stages, strict=True):
                if not isinstance(function, Callables | Var):
                    raise Fault(Code.KIND, stage.span, f"'->' joins operations; this is {kind(function)}")
            return Compose(tuple(functions))
        for position, stage in enumerate(stages):
            function = self.stage(stage, frame)
            last = position == len(stages) - 1
            inputs = flatten(value)
            where = spot if last else f"{spot or frame.name}.{callable_name(function)}"
            if last and spot is None and position:
                where = f"{frame.name}.{callable_name(function)}"
            value = self.apply(function, inputs, (), {}, frame, where, stage.span)
        return value

    def stage(self, expr: ast.Expr, frame: Frame) -> Value:
        """A stage of a pipe: something that can be applied."""
        value = self.eval(expr, frame)
        if not isinstance(value, Callables | Var):
            hint = "write `... -> f(parameters)`; the tensor comes from the left" if isinstance(value, Tensor) else None
            raise Fault(Code.KIND, expr.span, f"'->' feeds an operation; this is {kind(value)}", hint)
        return value

    # ------------------------------------------------------------ calls

    def call(self, expr: ast.Call, frame: Frame, spot: str | None) -> Value:
        if any(isinstance(arg.value, ast.Each) for arg in expr.args):
            return Bundle(tuple(make() for _, make in self.iterate(expr, frame)))
        return self.call_once(expr, frame, spot)

    def iterate(self, expr: ast.Call, frame: Frame) -> list[tuple[Frame, Callable[[], Value]]]:
        """One call per element of the bundles under `each`, in step."""
        bundles: dict[int, list[Value]] = {}
        for position, arg in enumerate(expr.args):
            if isinstance(arg.value, ast.Each):
                bundles[position] = flatten(self.eval(arg.value.bundle, frame))
        lengths = {len(bundle) for bundle in bundles.values()}
        if len(lengths) > 1:
            raise Fault(
                Code.RANGE,
                expr.span,
                f"bundles of different lengths under `each`: {' and '.join(map(str, sorted(lengths)))}",
            )
        result: list[tuple[Frame, Callable[[], Value]]] = []
        for turn in range(lengths.pop()):
            inner = frame.sub(each=(*frame.each, turn))
            for position, bundle in bundles.items():
                inner.seen[inner.key(expr.args[position].value)] = bundle[turn]

            def make(inner: Frame = inner) -> Value:
                return self.call_once(expr, inner, None)

            result.append((inner, make))
        return result

    def argument(self, arg: ast.Arg, frame: Frame, slot: str | None) -> Value:
        if isinstance(arg.value, ast.Each):
            return frame.seen[frame.key(arg.value)]
        spot = f"{frame.name}.{slot}" if slot and isinstance(arg.value, ast.Choice) else None
        return self.eval(arg.value, frame, spot)

    def call_once(self, expr: ast.Call, frame: Frame, spot: str | None) -> Value:
        inline = isinstance(expr.func, ast.Choice)
        function = None if inline else self.eval(expr.func, frame)
        if function == Builtin("prev"):
            return self.previous(expr, frame)
        slots = self.slots(function)
        positional: list[Value] = []
        named: dict[str, Value] = {}
        inputs: list[Value] = []
        spans: list[Span] = []
        for arg in expr.args:
            slot = arg.name or (slots[len(positional)] if len(positional) < len(slots) else None)
            value = self.argument(arg, frame, slot)
            if arg.name is not None:
                if arg.name in named:
                    raise Fault(Code.ARGUMENT, arg.span, f"'{arg.name}' is given twice")
                named[arg.name] = value
            elif is_tensors(value) and not positional:
                inputs += flatten(value)
                spans += [arg.span] * (len(inputs) - len(spans))
            elif is_tensors(value):
                raise Fault(Code.ARGUMENT, arg.span, "inputs come before parameters")
            else:
                positional.append(value)
        if function is None:
            source = inputs[0].name if inputs and isinstance(inputs[0], Tensor) else None
            where = f"{frame.name}.from_{source}" if source else spot or f"{frame.name}.choice"
            function = self.eval(expr.func, frame, where)
        if isinstance(function, Builtin):
            return self.builtin(function, inputs, spans, positional, named, expr, frame, spot)
        if not isinstance(function, Callables | Var):
            raise Fault(Code.KIND, expr.func.span, f"{kind(function)} cannot be applied")
        if not inputs:
            if isinstance(function, Menu) and function.definition.params and not named:
                return replace(function, args=(*function.args, *positional), mention=(expr, frame))
            self.check_names(function, positional, named, expr)
            return Partial(function, tuple(positional), tuple(named.items()))
        return self.apply(function, inputs, positional, named, frame, spot, expr.span)

    def slots(self, function: Value) -> tuple[str, ...]:
        """The names of the positions that parameters of a call take."""
        match function:
            case Function(definition=definition):
                return tuple(param.name for param in definition.params)
            case Menu(definition=definition):
                return tuple(param.name for param in definition.params)
            case Partial(function=inner, positional=given, named=named):
                rest = [name for name in self.slots(inner)[len(given) :] if name not in dict(named)]
                return tuple(rest)
        return ()

    def check_names(
        self, function: Value, positional: Sequence[Value], named: dict[str, Value], expr: ast.Call
    ) -> None:
        """Refuse parameters that a partial application's function does not have."""
        if not isinstance(function, Function):
            return
        definition = function.definition
        known = [param.name for param in definition.params]
        if isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK:
            known += [param.name for param in definition.inputs]  # a section may give them shapes
        for arg in expr.args:
            if arg.name is not None and arg.name not in known:
                message = f"'{function.name}' has no parameter '{arg.name}'"
                raise Fault(Code.ARGUMENT, arg.span, message, suggest(arg.name, known))
        if len(positional) > len(known):
            takes = plural(len(known), "parameter")
            raise Fault(Code.ARGUMENT, expr.span, f"'{function.name}' takes {takes}, not {len(positional)}")

    def builtin(
        self,
        function: Builtin,
        inputs: list[Value],
        spans: list[Span],
        positional: list[Value],
        named: dict[str, Value],
        expr: ast.Call,
        frame: Frame,
        spot: str | None,
    ) -> Value:
        if named:
            raise Fault(Code.ARGUMENT, expr.span, f"'{function.name}' has no named parameters")
        if function.name in NUMERIC:
            count, compute = NUMERIC[function.name], COMPUTE[function.name]
            args = [part for value in positional for part in flatten(value)]
            if inputs or (count is not None and len(args) != count) or not args:
                raise Fault(Code.ARGUMENT, expr.span, f"'{function.name}' takes {count or 'some'} numbers")
            for value in args:
                if not isinstance(value, int | float | Open | Var):
                    raise Fault(Code.KIND, expr.span, f"'{function.name}' takes numbers, not {kind(value)}")
            if any(isinstance(value, Open) for value in args):
                return self.open()
            try:
                return lift(lambda *plain: tidy(compute(*plain)), *args)
            except (ValueError, ArithmeticError, TypeError) as error:
                raise Fault(Code.RANGE, expr.span, f"'{function.name}' has no value here: {reason(error)}") from None
        if not inputs:
            raise Fault(Code.ARGUMENT, expr.span, f"'{function.name}' needs tensors")
        name = spot or f"{frame.name}.{function.name}"

        def combine(values: Sequence[Value]) -> Value:
            parts = [(part, span) for value, span in zip(values, spans, strict=True) for part in flatten(value)]
            if function.name == "sum":
                terms = [(tensor, span) for part, span in parts for tensor in self.tensors(part, expr, frame)]
                return self.add_up(terms, frame, name, expr.span)
            return self.concat(parts, positional, expr, frame, name)

        return self.fork(inputs, combine, frame.text, name, expr.span)

    def concat(
        self, parts: list[tuple[Value, Span]], widths: list[Value], expr: ast.Call, frame: Frame, name: str
    ) -> Value:
        """Join along the channels; a number at the end fixes the width of the result."""
        if any(isinstance(part, Picked) for part, _ in parts):
            self.refuse(expr.span, f"cannot be mixed: `concat` of a pick has as many channels as it picks ({name})")
        placed = [(tensor, span) for part, span in parts for tensor in self.tensors(part, expr, frame)]
        tensors = [tensor for tensor, _ in placed]
        self.something(tensors, frame, "concatenation", expr.span)
        first = tensors[0]
        if len(tensors) > 1:
            self.refuse_width(Concat.name, tensors, expr.span)
        for tensor, span in placed[1:]:
            if tensor.shape.space != first.shape.space:
                here, there = self.called(first, frame), self.called(tensor, frame)
                message = f"{self.place(frame)}cannot concatenate {here} of shape {first.shape} and {there} of shape "
                other = (placed[0][1], f"{here} is {first.shape} here")
                raise Fault(Code.RESOLUTION, span, f"{message}{tensor.shape}", None, other)
        known = [tensor.shape.c for tensor in tensors]
        channels: Value = known[0]
        for width in known[1:]:
            is_open = isinstance(channels, Open) or isinstance(width, Open)
            channels = self.open() if is_open else lift(lambda a, b: a + b, channels, width)
        is_pick = any(isinstance(part, Picked) for part, _ in parts)
        if is_pick and not widths:
            channels = self.open()  # as many as are picked
        if widths:
            if isinstance(channels, int) and channels != widths[0] and not is_pick:
                message = f"{self.place(frame)}this concatenation has {channels} channels, not {shown(widths[0])}"
                raise Fault(Code.CHANNELS, expr.span, message)
            channels = widths[0]
        return frame.text.add(name, Prim(Concat()), Shape((channels, *first.shape.space)), tuple(tensors), expr.span)
