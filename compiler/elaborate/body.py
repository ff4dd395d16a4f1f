"""Lines of a body in order, and the whole of a network: from a program to an `Elaborated` space."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.combinatorics.count_formula import Mention, Product
from compiler.ir.decision import DecisionKind
from compiler.ir.payloads import Input
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.ir.shape import Shape
from compiler.ir.undecided import MOST, Var
from compiler.ir.verify import Stage, is_asked_for, verify
from hdas_dsl.files import Instance
from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name, element_of

from .apply import Applying
from .choose import is_numeric
from .core import flatten
from .quantities import read_preference
from .space import Elaborated, Origin, Requirement
from .state import Copy, Family, Fault, Frame, Silent, Text
from .values import UNKNOWN, Bundle, Function, Menu, Tensor, Value, kind, shown
from .widths import fill, solve


class Elaborator(Applying):
    """Elaborates one network of a program."""

    def __init__(self, forced: frozenset[str] | None = None, externals: Externals = NO_PLUGINS) -> None:
        super().__init__(forced, externals)
        self.requirements: list[Requirement] = []

    # ------------------------------------------------------------ bodies

    def body(self, text: Text, function: Function) -> None:
        """Read the lines of a definition into its text."""
        definition = function.definition
        body = definition.body
        if isinstance(body, ast.Block):
            text.prune = any(isinstance(line, ast.Prune) for line in body.lines)
            for line in body.lines:
                self.guarded(line, text)
        elif not isinstance(body, ast.External):
            frame = Frame(text, text.instance, "")
            text.graph.output = self.as_output(self.eval(body, frame), body, frame).index
        if text.graph.output is None:
            raise Silent

    def guarded(self, line: ast.BodyLine, text: Text) -> None:
        """Read a line; where it is wrong, report it and go on with what it defines unknown."""
        try:
            self.line(line, text)
        except Fault as fault:
            if text.inside:
                raise
            self.report(fault.diagnostic)
            self.forget(line, text)
        except Silent:
            if text.inside:
                raise
            self.forget(line, text)

    def forget(self, line: ast.BodyLine, text: Text) -> None:
        if isinstance(line, ast.Binding):
            for name in line.target.names:
                text.bindings[name] = UNKNOWN
                if element := element_of(name):
                    text.families.setdefault(element[0], Family(element[0])).elements[element[1]] = UNKNOWN

    def line(self, line: ast.BodyLine, text: Text) -> None:
        match line:
            case ast.Binding() if line.target.dims:
                self.family_line(line, text)
            case ast.Binding():
                self.plain_line(line, text)
            case ast.Output():
                frame = Frame(text, text.instance, "output")
                text.traces[id(line)] = [frame]
                value = self.eval(line.value, frame, "output")
                text.graph.output = self.as_output(value, line.value, frame).index
            case ast.Aux():
                self.aux_line(line, text)
            case ast.Require():
                requirement = Requirement.read(line, text, Origin.OPERATION if text.inside else Origin.BODY)
                # Another instance of the same copy mostly says the same again.
                if requirement not in self.requirements:
                    self.requirements.append(requirement)
            case ast.Preference():
                text.preferences.append(read_preference(line, text, self.decisions, self.plain))
            case ast.Prune() | ast.Comment():
                pass

    def plain(self, expr: ast.Expr, text: Text) -> Value:
        """A number at the end of a text, for weights of preferences."""
        return self.number(expr, Frame(text, text.instance, ""))

    def as_output(self, value: Value, expr: ast.Expr, frame: Frame) -> Tensor:
        if isinstance(value, Var):
            value = self.fork([value], lambda values: values[0], frame.text, "output", expr.span)
        if isinstance(value, Bundle) and len(flatten(value)) == 1:
            value = flatten(value)[0]
        return self.tensor(value, expr, frame)

    def aux_line(self, line: ast.Aux, text: Text) -> None:
        """The auxiliary output exists in discrete networks only."""
        if self.decisions or not text.root:
            return
        frame = Frame(text, text.instance, "aux")
        text.graph.aux = self.tensor(self.eval(line.value, frame, "aux"), line.value, frame).index

    # ------------------------------------------------------------ bindings

    def plain_line(self, line: ast.Binding, text: Text) -> None:
        frame = Frame(text, text.instance, line.target.name)
        element = element_of(line.target.name)
        if element is not None:
            frame = frame.sub(element=element)
        text.traces[id(line)] = [frame]
        self.where(line, frame)
        value = self.bound(self.eval(line.value, frame, line.target.name), line, frame)
        self.assign(line.target, value, text.bindings, line.span)
        if element is not None:
            self.add_element(element, value, line, text)
        self.remember_fields(line, frame, text)

    def add_element(self, element: tuple[str, tuple[int, ...]], value: Value, line: ast.Binding, text: Text) -> None:
        """A line of its own for one element of a family."""
        name, index = element
        family = text.families.setdefault(name, Family(name))
        if index in family.elements:
            message = f"'{element_name(name, index)}' is already defined, as an element of '{name}'"
            raise Fault(Code.DUPLICATE, line.target.span, message)
        family.elements[index] = value

    def settled_number(self, value: Value, frame: Frame) -> Value:
        """A menu of numbers that gets a name is decided there, once for all who use the name."""
        if isinstance(value, Menu) and is_numeric(value.definition):
            return self.settle_menu(value, frame.name, frame)
        return value

    def bound(self, value: Value, line: ast.Binding, frame: Frame) -> Value:
        """The value of a line: tensors take its name, a menu of numbers decides, and other menus stay undecided."""
        value = self.settled_number(value, frame)
        return self.named(value, line.target.name, frame) if len(line.target.names) == 1 else value

    def named(self, value: Value, name: str, frame: Frame) -> Value:
        if not isinstance(value, Tensor):
            return value
        frame.text.graph.name_line(value.index, name)
        return replace(value, name=name)

    def assign(self, target: ast.Target, value: Value, table: dict[str, Value], span: Span) -> None:
        if len(target.names) == 1:
            table[target.name] = value
            return
        items = value.items if isinstance(value, Bundle) else ()
        if len(items) != len(target.names):
            have = f"{len(items)} values" if isinstance(value, Bundle) else kind(value)
            raise Fault(Code.KIND, span, f"{len(target.names)} names cannot take {have}")
        table.update(zip(target.names, items, strict=True))

    def where(self, line: ast.Binding, frame: Frame) -> None:
        """The local names of an element, in order."""
        for binding in line.where:
            name = binding.target.name
            inner = frame.sub(name=f"{frame.name}.{name}", locals=frame.locals)
            value = self.settled_number(self.eval(binding.value, inner, inner.name), inner)
            if isinstance(value, Tensor):
                value = replace(value, name=name)
            self.assign(binding.target, value, frame.locals, binding.span)

    def remember_fields(self, line: ast.Binding, frame: Frame, text: Text) -> None:
        names = [name for binding in line.where for name in binding.target.names]
        if names:
            text.fields[frame.name] = {name: frame.locals[name] for name in names}

    def family_line(self, line: ast.Binding, text: Text) -> None:
        """``n[i < 4] = ...``: the elements in lexicographic order."""
        name = line.target.name
        if name in text.bindings:
            raise Fault(Code.DUPLICATE, line.target.span, f"'{name}' is already defined in this text")
        family = text.families.setdefault(name, Family(name))
        frames = text.traces.setdefault(id(line), [])
        first = line.target.dims[0]
        size = self.size(first.size, Frame(text, text.instance, name), name)
        if isinstance(size, Var):
            if len(line.target.dims) > 1 or len(size.decisions) > 1:
                raise Fault(
                    Code.UNDECIDED, first.size.span, "only a family of one index, by one choice, can vary in size"
                )
            family.size = self.decisions[size.decisions[0]]
            factors: list[Product] = []
            for i in range(int(max(size.values))):
                with self.scope() as scope:
                    self.element(line, family, (i,), {first.index: i}, text, frames)
                factors.append(tuple(scope))
            cases: dict[tuple[int, ...], Product] = {
                (j,): tuple(factor for part in factors[: int(count)] for factor in part)
                for j, count in enumerate(size.values)
            }
            self.give(size.decisions, cases)
            return
        for index, indices in self.indices(line.target.dims, text, name):
            self.element(line, family, index, indices, text, frames)

    def size(self, expr: ast.Expr, frame: Frame, name: str) -> Value:
        """How many elements: a whole number, or a decision on it."""
        value: Value
        if isinstance(expr, ast.Choice):
            value = self.decide(expr.items, frame, name, (expr, frame), DecisionKind.SIZE)
        else:
            value = self.number(expr, frame)
        for number in value.values if isinstance(value, Var) else (value,):
            if isinstance(number, bool) or not isinstance(number, int) or number < 0:
                raise Fault(Code.RANGE, expr.span, f"a family has a whole number of elements, not {shown(number)}")
            if number > MOST:
                raise Fault(Code.LARGE, expr.span, f"a family has at most {MOST} elements, not {number}")
        return value

    def indices(self, dims: tuple[ast.Dim, ...], text: Text, name: str) -> list[tuple[tuple[int, ...], dict[str, int]]]:
        """All index tuples; later sizes may depend on earlier indices."""
        found: list[tuple[tuple[int, ...], dict[str, int]]] = [((), {})]
        for dim in dims:
            grown: list[tuple[tuple[int, ...], dict[str, int]]] = []
            for index, names in found:
                size = self.size(dim.size, Frame(text, text.instance, name, dict(names)), name)
                if isinstance(size, Var):
                    raise Fault(Code.UNDECIDED, dim.size.span, "only the first index of a family can vary in size")
                grown += [((*index, i), {**names, dim.index: i}) for i in range(size)]
                if len(grown) > MOST:
                    raise Fault(Code.LARGE, dim.size.span, f"a family has at most {MOST} elements")
            found = grown
        return found

    def element(
        self,
        line: ast.Binding,
        family: Family,
        index: tuple[int, ...],
        indices: dict[str, int],
        text: Text,
        frames: list[Frame],
    ) -> None:
        name = element_name(family.name, index)
        if index in family.elements:
            raise Fault(Code.DUPLICATE, line.target.span, f"'{name}' is already defined, in a line of its own")
        frame = Frame(text, text.instance, name, dict(indices), (family.name, index))
        frames.append(frame)
        try:
            self.where(line, frame)
            value = self.settled_number(self.eval(line.value, frame, name), frame)
            value = self.named(value, name, frame)
        except Fault as fault:
            if text.inside:
                raise
            self.report(fault.diagnostic)
            value = UNKNOWN
        except Silent:
            value = UNKNOWN
        family.elements[index] = value
        if value is not UNKNOWN:
            self.remember_fields(line, frame, text)

    # ------------------------------------------------------------ networks

    def network(self, function: Function, args: dict[str, Value], span: Span) -> Elaborated | None:
        """Elaborate a network with the given arguments; None when it has errors (in ``diagnostics``)."""
        definition = function.definition
        assert isinstance(definition, ast.GraphDef)
        path = function.label or self.title(function)
        relaxed = path in self.forced if self.forced is not None else self.has_choice(function)
        try:
            with self.deeper(definition.copy.span):
                text, params = self.root_text(function, path, args, relaxed, span)
                if relaxed and not text.decisions and text.consulted and self.forced is None:
                    text, params = self.root_text(function, path, args, False, span)
        except Fault as fault:
            self.report(fault.diagnostic)
            return None
        except Silent:
            return None
        if self.diagnostics:
            return None
        block = self.block(function, text, path, params)
        formula = tuple(self.scopes[-1])
        self.copies[path] = Copy(path, definition, function.instance, text, formula, block, span)
        if self.opened and not self.decisions:
            try:
                block = fill(block, solve(block))
            except Fault as fault:
                self.report(fault.diagnostic)
                return None
        preferences = [p for copy in self.copies.values() for p in copy.text.preferences]
        return Elaborated(
            definition.name,
            block,
            self.decisions,
            self.copies,
            (Mention(path),),
            tuple(preferences),
            tuple(self.requirements),
            tuple(self.refusals),
            params,
            self.externals,
        )

    def root_text(
        self, function: Function, path: str, args: dict[str, Value], relaxed: bool, span: Span
    ) -> tuple[Text, dict[str, Value]]:
        """The text of the network itself, whose inputs have written shapes, unless ``args`` give others."""
        definition = function.definition
        self.scopes = [[]]
        self.requirements.clear()
        known = [param.name for param in (*definition.inputs, *definition.params)]
        for name in args:
            if name not in known:
                message = f"network '{function.name}' has no parameter '{name}'"
                raise Fault(Code.ARGUMENT, span, message, suggest(name, known), (definition.name_span, "defined here"))
        text = Text(definition, function.instance, path, ast.Level.NETWORK.value, relaxed, root=True)
        frame = Frame(text, function.instance, "")
        for index, param in enumerate(definition.inputs):
            if param.shape is None:
                raise Fault(
                    Code.SHAPE, param.span, f"input '{param.name}' of a network needs a shape, such as [3, 32, 32]"
                )
            dims = tuple(self.whole(dim, frame) for dim in param.shape)
            where = param.span
            if param.name in args:
                dims, where = given_shape(param, args[param.name], dims, span), span
            if any(dim < 1 for dim in dims) or not 1 <= len(dims) <= 3:
                raise Fault(Code.SHAPE, where, f"'{param.name}' cannot have the shape {Shape(dims)}")
            made = text.add(param.name, Input(index), Shape(dims), (), param.span, line=param.name)
            text.bindings[param.name] = Tensor(id(text), made.index, Shape(dims), param.name)
        params = self.complete(function, args, text, span)
        self.body(text, function)
        return text, params


def given_shape(param: ast.Param, value: Value, written: tuple[int, ...], span: Span) -> tuple[int, ...]:
    """The shape that a section gives an input: ``image = (3, 224, 224)``."""
    items = value.items if isinstance(value, Bundle) else (value,)
    dims = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool))
    if len(dims) < len(items) or len(dims) != len(written):
        hint = f"as many whole numbers as its written shape has, such as ({', '.join(map(str, written))})"
        raise Fault(Code.SHAPE, span, f"input '{param.name}' is given no shape", hint)
    return dims


def elaborate(
    instance: Instance,
    function: Function,
    args: dict[str, Value] | None = None,
    forced: frozenset[str] | None = None,
    span: Span | None = None,
    externals: Externals = NO_PLUGINS,
) -> tuple[Elaborated | None, list[Diagnostic]]:
    """Elaborate a network of a program.

    Args:
        instance: the file that the network is compiled from.
        function: the network.
        args: values of its parameters, the others take their defaults; and shapes of its inputs, as tuples.
        forced: paths of the copies to elaborate in their relaxed variant; by default those with a choice of their own.
        span: where errors about the arguments point.
        externals: the primitives and plugins that external operations may name.

    Returns:
        The space, or None where there are errors, and all diagnostics.
    """
    elaborator = Elaborator(forced, externals)
    result = elaborator.network(function, dict(args or {}), span or function.definition.span)
    if result is not None and is_asked_for():
        verify(result.block.graph, result.decisions, Stage.HIERARCHICAL, "elaboration")
    return result, elaborator.diagnostics
