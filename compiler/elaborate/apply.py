"""Applications: operations, cells, stages and primitives become nodes; equal ones share a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from compiler.ir.combinatorics.count_formula import Mention, Product
from compiler.ir.graph import Block, Call
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives.external import PREFIX
from compiler.ir.primitives.parameters import ParameterError, SignatureError
from compiler.ir.shape import Shape
from compiler.ir.undecided import Open, Var
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast

from .core import callable_name, flatten, is_tensors, plural
from .evaluate import Evaluating
from .state import Copy, Fault, Frame, Silent, Text
from .values import Builtin, Bundle, Compose, Copies, Function, Menu, Partial, Picked, Tensor, Value, kind, shown

T = TypeVar("T")


class Applying(Evaluating):
    """What happens when something applicable meets tensors."""

    def apply(
        self,
        function: Value,
        inputs: Sequence[Value],
        positional: Sequence[Value],
        named: dict[str, Value],
        frame: Frame,
        spot: str | None,
        span: Span,
    ) -> Value:
        match function:
            case Partial(function=inner, positional=given, named=more):
                clash = next((name for name, _ in more if name in named), None)
                if clash:
                    raise Fault(Code.ARGUMENT, span, f"'{clash}' is given twice")
                # Positions given to a partial application come first, further ones follow.
                merged = {**dict(more), **named}
                return self.apply(inner, inputs, (*given, *positional), merged, frame, spot, span)
            case Compose(stages=stages):
                if positional or named:
                    raise Fault(Code.ARGUMENT, span, "a composition takes no parameters")
                value: Value = None
                for position, stage in enumerate(stages):
                    feed = inputs if position == 0 else flatten(value)
                    last = position == len(stages) - 1
                    name = spot if last else f"{spot or frame.name}.{callable_name(stage)}"
                    value = self.apply(stage, feed, (), {}, frame, name, span)
                return value
            case Menu():
                where = self.slot(function, inputs, frame)
                settled = self.settle_menu(function, where, frame)
                return self.apply(settled, inputs, positional, named, frame, where, span)
            case Var():
                where = spot or self.slot(function, inputs, frame)
                return self.fork_function(function, inputs, positional, named, frame, where, span)
            case Builtin(name=name):
                raise Fault(Code.KIND, span, f"'{name}' is called with its tensors: `{name}(...)`")
            case Copies(name=name, definitions=definitions):
                known = ", ".join(str(definition.copy) for definition in definitions)
                raise Fault(Code.COPY, span, f"'{name}' needs a label", f"there are {known}")
            case Function():
                tensors = self.inputs_of(function, inputs, frame, span)
                params = self.bind(function, positional, named, frame, span)
                name = spot or self.slot(function, inputs, frame)
                return self.instantiate(function, tensors, params, frame, name, span)
        raise Fault(Code.KIND, span, f"{kind(function)} cannot be applied")

    def slot(self, function: Value, inputs: Sequence[Value], frame: Frame) -> str:
        """The place of an application that is not all of a line: by its source when that has a name."""
        name = callable_name(function)
        if frame.text.inside:
            return f"{frame.name}.{name}"
        source = next((item.name for item in inputs if isinstance(item, Tensor) and item.name), None)
        if isinstance(function, Menu | Var):
            return f"{frame.name}.from_{source}" if source else f"{frame.name}.{name}"
        return f"{frame.name}.from_{source}.{name}" if source else f"{frame.name}.{name}"

    def fork_function(
        self,
        function: Var,
        inputs: Sequence[Value],
        positional: Sequence[Value],
        named: dict[str, Value],
        frame: Frame,
        where: str,
        span: Span,
    ) -> Value:
        """Apply an undecided operation: every item, mixed."""

        def build(values: Sequence[Value]) -> Value:
            chosen = values[0]
            if isinstance(chosen, Tensor):
                return chosen
            return self.apply(chosen, inputs, positional, dict(named), frame, f"{where}.{callable_name(chosen)}", span)

        return self.fork([function], build, frame.text, where, span)

    # ------------------------------------------------------------ arguments

    def inputs_of(self, function: Function, inputs: Sequence[Value], frame: Frame, span: Span) -> tuple[Tensor, ...]:
        """Spread bundles over the inputs of a function."""
        tensors: list[Tensor] = []
        for item in inputs:
            for part in flatten(item):
                if isinstance(part, Picked):
                    part = self.combine(part, frame, None, span)
                if isinstance(part, Var) and is_tensors(part):
                    part = self.fork([part], lambda values: values[0], frame.text, f"{frame.name}.last", span)
                if not isinstance(part, Tensor):
                    raise Fault(Code.KIND, span, f"'{function.name}' is fed {kind(part)}")
                tensors.append(part)
        wanted = function.definition.inputs
        if len(tensors) != len(wanted):
            names = ", ".join(param.name for param in wanted)
            takes = f"{plural(len(wanted), 'input')} ({names})" if wanted else "no inputs"
            message = f"'{function.name}' takes {takes}, not {plural(len(tensors), 'tensor')}"
            raise Fault(Code.ARGUMENT, span, message, None, (function.definition.name_span, "defined here"))
        return tuple(tensors)

    def bind(
        self, function: Function, positional: Sequence[Value], named: dict[str, Value], frame: Frame, span: Span
    ) -> dict[str, Value]:
        """The parameters given, by name; positions take the names that are left, in order."""
        params = function.definition.params
        known = [param.name for param in params]
        for name in named:
            if name not in known:
                message = f"'{function.name}' has no parameter '{name}'"
                raise Fault(
                    Code.ARGUMENT, span, message, suggest(name, known), (function.definition.name_span, "defined here")
                )
        free = [name for name in known if name not in named]
        if len(positional) > len(free):
            message = f"'{function.name}' takes {plural(len(known), 'parameter')}, not {len(positional) + len(named)}"
            raise Fault(Code.ARGUMENT, span, message, None, (function.definition.name_span, "defined here"))
        bound = {**dict(zip(free, positional, strict=False)), **named}
        for name, value in bound.items():
            if is_tensors(value):
                raise Fault(Code.ARGUMENT, span, f"parameter '{name}' of '{function.name}' is given a tensor")
            if isinstance(value, Menu) and isinstance(function.definition, ast.OpDef):
                bound[name] = self.settle_menu(value, f"{frame.name}.{callable_name(value)}", frame)
            elif isinstance(value, Partial | Compose):
                bound[name] = self.settled(value, frame, frame.name)
        return bound

    def complete(self, function: Function, given: dict[str, Value], text: Text, span: Span) -> dict[str, Value]:
        """All parameters: those given, then defaults, which see the inputs and the parameters before them."""
        frame = Frame(text, function.instance, "")
        result: dict[str, Value] = {}
        for param in function.definition.params:
            if param.name in given:
                value = given[param.name]
            elif param.default is not None:
                value = self.eval(param.default, frame.sub(name=param.name), param.name)
            else:
                message = f"'{function.name}' needs its parameter '{param.name}'"
                raise Fault(Code.MISSING, span, message, None, (param.span, "declared here"))
            result[param.name] = text.bindings[param.name] = value
        return result

    # ------------------------------------------------------------ instances

    def instantiate(
        self,
        function: Function,
        inputs: tuple[Tensor, ...],
        params: dict[str, Value],
        frame: Frame,
        spot: str,
        span: Span,
    ) -> Tensor:
        definition = function.definition
        with self.deeper(span):
            try:
                if isinstance(definition, ast.GraphDef):
                    block = self.graph_block(function, inputs, params, span)
                elif isinstance(definition.body, ast.External):
                    return self.primitive(function, inputs, params, frame, spot, span)
                else:
                    block = self.op_block(function, inputs, params, frame, span)
            except Fault as fault:
                raise self.anchored(fault, function, frame, spot, span) from None
        output = block.graph.output
        if output is None:
            raise Silent
        return frame.text.add(spot, Call(block), block.graph.node(output).shape, inputs, span)

    def anchored(self, fault: Fault, function: Function, frame: Frame, spot: str, span: Span) -> Fault:
        """An error inside a library operation is the error of the line that uses it, which it names."""
        found = fault.diagnostic
        here = frame.instance.unit
        if function.instance.unit.shipped is None or here.shipped is not None:
            return fault
        where = f"'{frame.text.copy}.{spot.lstrip('.')}': " if frame.text.copy else ""
        inside = None if found.span == span else (found.span, f"in '{function.name}'")
        message = where + found.message.removeprefix(where)
        return Fault(found.code, span, message, found.hint, found.other or inside)

    def inner_text(self, function: Function, inputs: tuple[Tensor, ...], copy: str, level: str, relaxed: bool) -> Text:
        """A new text whose inputs have the shapes of the given tensors."""
        definition = function.definition
        text = Text(definition, function.instance, copy, level, relaxed)
        for index, (param, tensor) in enumerate(zip(definition.inputs, inputs, strict=True)):
            made = text.add(param.name, Input(index), tensor.shape, (), param.span, line=param.name)
            text.bindings[param.name] = Tensor(id(text), made.index, tensor.shape, param.name)
        return text

    def op_block(
        self, function: Function, inputs: tuple[Tensor, ...], given: dict[str, Value], frame: Frame, span: Span
    ) -> Block:
        """An operation: one block per definition, parameters, input shapes and relaxation."""
        caller = frame.text
        shapes = tuple(tensor.shape for tensor in inputs)
        key = (id(function.definition), function.instance, shapes, tuple(sorted(given.items())), caller.relaxed)
        known = self.templates.get(key)
        if known is None:
            text = self.inner_text(function, inputs, caller.copy, "op", caller.relaxed)
            text.root = caller.root
            opened = self.opened
            with self.scope() as factors:
                params = self.complete(function, given, text, span)
                self.body(text, function)
            known = (self.block(function, text, None, params), tuple(factors), text.consulted)
            if self.opened == opened:  # else each application has widths of its own
                self.templates[key] = known
        block, formula, consulted = known
        self.factor(*formula)
        caller.consulted |= consulted
        return block

    def graph_block(self, function: Function, inputs: tuple[Tensor, ...], given: dict[str, Value], span: Span) -> Block:
        """An instance of a copy; instances of equal arguments and shapes share a block."""
        definition = function.definition
        assert isinstance(definition, ast.GraphDef)
        path = function.label or self.title(function)
        shapes = tuple(tensor.shape for tensor in inputs)
        key = (id(definition), function.instance, path, shapes, tuple(sorted(given.items(), key=lambda item: item[0])))
        if key not in self.blocks:
            relaxed = self.is_relaxed(function, path, given)
            block, formula, text = self.elaborate_copy(function, path, inputs, given, relaxed, span)
            if relaxed and not text.decisions and text.consulted and self.forced is None:
                # Nothing was left to choose, so the copy is discrete after all.
                block, formula, text = self.elaborate_copy(function, path, inputs, given, False, span)
            known = self.copies.get(path)
            if known is None:
                owner = path.rpartition(".")[0] or None
                self.copies[path] = Copy(path, definition, function.instance, text, formula, block, span, owner)
            elif known.text.decisions != text.decisions:
                hint = f"give the instances copies of their own: `{function.name}@label`"
                differ = sorted({*known.text.decisions} ^ {*text.decisions})
                message = f"two instances of '{path}' have different choices"
                message += f": only one of them has '{differ[0]}'" if differ else ""
                raise Fault(Code.INSTANCES, span, message, hint, (known.span, "the other instance"))
            self.blocks[key] = block, path
        self.factor(Mention(path))
        block = self.blocks[key][0]
        if leaves_open(block):
            del self.blocks[key]  # its caller says how wide it is, and another one may say otherwise
        return block

    def elaborate_copy(
        self,
        function: Function,
        path: str,
        inputs: tuple[Tensor, ...],
        given: dict[str, Value],
        relaxed: bool,
        span: Span,
    ) -> tuple[Block, Product, Text]:
        assert isinstance(function.definition, ast.GraphDef)
        text = self.inner_text(function, inputs, path, function.definition.level.value, relaxed)
        with self.scope() as factors:
            params = self.complete(function, given, text, span)
            self.body(text, function)
        return self.block(function, text, path, params), tuple(factors), text

    def is_relaxed(self, function: Function, path: str, given: dict[str, Value]) -> bool:
        """Whether a copy may have a choice of its own; `graph_block` looks again when it had none."""
        if self.forced is not None:
            return path in self.forced
        if path in self.copies:
            return self.copies[path].live
        if any(isinstance(value, Menu) for value in given.values()):
            return True
        return self.has_choice(function)

    def has_choice(self, function: Function) -> bool:
        """Whether the text of a definition chooses anywhere, by its syntax."""
        for node in function.definition.walk():
            if isinstance(node, ast.Choice | ast.Pick):
                return True
            if isinstance(node, ast.Name):
                found = function.instance.lookup(node.id)
                if found is not None and isinstance(getattr(found, "plain", None), ast.MenuDef):
                    return True
            if isinstance(node, ast.Field) and isinstance(node.base, ast.Name):
                found = function.instance.lookup(node.base.id)
                inner = getattr(found, "instance", None)
                if inner is not None and any(isinstance(d, ast.MenuDef) for d in inner.unit.names.get(node.name, ())):
                    return True
        return False

    def block(self, function: Function, text: Text, copy: str | None, params: dict[str, Value]) -> Block:
        arguments = tuple((name, describe(value)) for name, value in params.items())
        return Block(function.name, text.level, copy, text.graph, arguments, params)

    def body(self, text: Text, function: Function) -> None:
        raise AssertionError("implemented by the elaborator")

    # ------------------------------------------------------------ primitives

    def primitive(
        self,
        function: Function,
        inputs: tuple[Tensor, ...],
        given: dict[str, Value],
        frame: Frame,
        spot: str,
        span: Span,
    ) -> Tensor:
        definition = function.definition
        assert isinstance(definition, ast.OpDef)
        assert isinstance(definition.body, ast.External)
        external = definition.body
        target = self.externals.resolve(external.name)
        if target is None:
            hint = suggest(external.name, (PREFIX + known.name for known in self.externals.primitives))
            raise Fault(Code.PLUGIN, external.span, f"the compiler knows no primitive '{external.name}'", hint)
        self.checked(target.check, given, function, external, span)
        text = self.inner_text(function, inputs, "", "op", frame.text.relaxed)
        params = self.complete(function, given, text, span)
        undecided = [key for key, value in params.items() if isinstance(value, Var) and key not in target.widths]
        if undecided:
            names = list(params)

            def build(values: Sequence[Value]) -> Value:
                return self.primitive(function, inputs, dict(zip(names, values, strict=True)), frame, spot, span)

            # Widths stay undecided in the copies: only the other parameters are settled.
            fixed = {key: params[key] for key in params if key not in undecided}

            def settle(values: Sequence[Value]) -> Value:
                return build([fixed[n] if n in fixed else values[undecided.index(n)] for n in names])

            mixed = self.fork([params[key] for key in undecided], settle, frame.text, f"{spot}.mix", span)
            assert isinstance(mixed, Tensor)
            return mixed
        op = self.checked(target.make, params, function, external, span)
        shape = self.shape_of(definition, text, function, inputs, span)
        refusal = op.refusal([tensor.shape for tensor in inputs], shape)
        if refusal is not None:
            raise Fault(Code.SHAPE, span, f"'{function.name}' {refusal}")
        if not op.any_width:
            self.refuse_width(op.called, inputs, span)
        called = op.called if external.name.startswith(PREFIX) else function.name
        label = spot if spot.rpartition(".")[2].rstrip("_0123456789") == called else f"{spot}.{called}"
        return frame.text.add(label.lstrip("."), Prim(op), shape, inputs, span)

    def checked(
        self,
        read: Callable[[Mapping[str, object]], T],
        values: Mapping[str, Value],
        function: Function,
        external: ast.External,
        span: Span,
    ) -> T:
        """Read parameters of an external operation; those that are wrong are errors of the program."""
        try:
            return read(values)
        except SignatureError as error:
            raise Fault(Code.PLUGIN, external.span, str(error)) from None
        except ParameterError as error:
            raise Fault(Code.ARGUMENT, span, error.sentence(function.name, shown(error.value))) from None

    def shape_of(
        self, definition: ast.OpDef, text: Text, function: Function, inputs: tuple[Tensor, ...], span: Span
    ) -> Shape:
        """The shape rule of an external operation; without one, the shape of its first input."""
        if definition.shape is None:
            return inputs[0].shape
        frame = Frame(text, function.instance, "")
        dims: list[Value] = []
        try:
            for expr in definition.shape:
                dims += flatten(self.eval(expr, frame))
        except Fault as fault:
            found = fault.diagnostic
            if found.code is Code.LARGE:
                raise
            raise Fault(found.code, span, f"'{function.name}' cannot take this: {found.message}", found.hint) from None
        for dim in dims:
            plain = dim.values if isinstance(dim, Var) else (dim,)
            if any(not isinstance(value, Open) and (not isinstance(value, int) or value < 1) for value in plain):
                shapes = " and ".join(str(tensor.shape) for tensor in inputs)
                result = "x".join(str(d) for d in dims)
                raise Fault(Code.SHAPE, span, f"'{function.name}' would make {result} of {shapes}")
        return Shape(tuple(dims))


def leaves_open(block: Block) -> bool:
    """Whether the output has an open width that comes from no input."""
    graph = block.graph
    width = None if graph.output is None else graph.node(graph.output).shape.c
    return isinstance(width, Open) and all(graph.node(index).shape.c is not width for index in graph.inputs)


def describe(value: Value) -> str:
    """A parameter's value for reports."""
    match value:
        case Function(label=label):
            return label or value.name
        case Bundle(items=items):
            return f"({', '.join(describe(item) for item in items)})"
        case Partial() | Compose() | Menu() | Copies():
            return callable_name(value)
    return str(value)
